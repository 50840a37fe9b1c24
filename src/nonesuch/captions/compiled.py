"""The words of a grammar's rules for given facts, worked out once and kept."""

from collections.abc import Callable, Sequence
from itertools import accumulate, combinations
from typing import NamedTuple

from nonesuch.captions.facts import FACTS, consistent, names
from nonesuch.captions.grammar_file import ROOT, Form, GrammarError, GrammarFile, Reference, Rule, Wording

_MOST_KEPT = 50_000  # words of a rule for some facts, in memory
_CLOSING = ".,;:!?"
_EXHAUSTIVE = 12  # facts of a rule up to which all their consistent sets are tried
_FEW = 8  # facts of a rule up to which its words are worked out at once, and not where they are chosen


class Article(NamedTuple):
    """A word that becomes another before some letters."""

    word: str
    other: str
    letters: str


class Text(NamedTuple):
    """Words that state facts."""

    text: str
    states: int


class Way(NamedTuple):
    """What is said, last part first; `states` are the facts that the whole stretch states by itself."""

    states: int
    parts: "tuple[Part, ...]"


class Choice(NamedTuple):
    """Several ways to say the same facts, with cumulative shares."""

    shares: list[float]
    ways: "list[Way | Known]"


class List(NamedTuple):
    """Items that are joined in any order."""

    items: "list[Known]"
    comma: str
    last: str


class Slot(NamedTuple):
    """Where a rule's words go, for those of its facts that hold."""

    rule: str
    domain: int


Known = str | Text | Choice | List
Part = Known | Article | Slot


class Compiler:
    """Takes facts to what can be said of them.

    Attributes:
        can_say: the facts that the grammar has words for, as `facts.bits` makes them.

    Raises:
        NonesuchError: a rule or form is named that is not there, a rule is made of itself, or there are no words for
            a set of facts that can occur; with the line.
    """

    def __init__(self, file: GrammarFile) -> None:
        self._file = file
        self._domains: dict[str, int] = {}
        if ROOT not in file.rules:
            raise GrammarError(file.path, 1, f"no rule is called {ROOT}, with which all begins")
        for rule in file.rules.values():
            self._domain(rule, ())
        self.can_say = self._domains[ROOT]
        self._reaches = {rule.name: [self._reach(wording) for wording in rule.wordings] for rule in file.rules.values()}
        self._slots = self._root_slots()
        self._few = {name for name, domain in self._domains.items() if domain.bit_count() <= _FEW}
        self._known: dict[tuple[str, int, int], Known | None] = {}  # of rules of few facts, which recur
        self._known_of_many: dict[tuple[str, int, int], Known | None] = {}
        self._items: dict[tuple[str, int, int, int], Way | None] = {}
        self._sure: dict[str, bool] = {}
        self._late: frozenset[str] = frozenset()
        self._late = frozenset(
            name for name, domain in self._domains.items() if domain.bit_count() > _FEW and self._never_lacks(name)
        )
        self._roots: dict[tuple[int, int], Known] = {}
        self._check_words()

    def root(self, facts: int, person: int) -> Known:
        """The wordings of a caption, with a slot where a rule has something to say: alike for many sets of facts."""
        slots = self._slots
        there = sum(1 << place for place, slot in enumerate(slots) if facts & slot.domain)
        found = self._roots.get((there, person))
        if found is None:
            rule, ways = self._file.rules[ROOT], []
            for wording in rule.wordings:
                parts = self._filled(wording, facts, person, self._slot)
                if parts is not None:
                    ways.append((wording.weight, Way(0, parts)))
            found = self._roots[there, person] = _choice(ways)
        return found

    def words(self, rule: str, facts: int, person: int) -> Known:
        """Compiled words of a rule for just these facts."""
        found = self._words(rule, facts, person)
        if found is None:
            said = " + ".join(names(facts)) or "nothing"
            raise GrammarError(self._file.path, self._file.rules[rule].line, f"{rule} has no words for {said}")
        return found

    def _words(self, rule: str, facts: int, person: int) -> Known | None:
        """Words of a rule for just these facts, kept; None where it has none."""
        key = rule, facts, person
        known = self._known if rule in self._few else self._known_of_many
        if key in known:
            return known[key]
        found = self._compiled(self._file.rules[rule], facts, person)
        if len(known) >= _MOST_KEPT:
            known.clear()
        known[key] = found
        return found

    def _later(self, rule: str, facts: int, person: int) -> Known | Slot | None:
        """Words of a rule; of many facts, for which it surely has some, a place that is filled once it is chosen."""
        if facts and rule in self._late:
            return Slot(rule, facts)
        return self._words(rule, facts, person)

    def _never_lacks(self, name: str) -> bool:
        """Whether a rule surely has words for each consistent set of its facts; for none it may lack them."""
        found = self._sure.get(name)
        if found is not None:
            return found
        domain, rule = self._domains[name], self._file.rules[name]
        sure = [
            reach
            for wording, reach in zip(rule.wordings, self._reaches[name], strict=True)
            if self._wording_never_lacks(wording, reach)
        ]
        if domain.bit_count() <= _FEW:
            single = [1 << place for place in range(len(FACTS)) if domain >> place & 1]
            sets = (sum(chosen) for count in range(1, len(single) + 1) for chosen in combinations(single, count))
            found = all(self._words(name, facts, 0) is not None for facts in sets if consistent(facts))
        elif rule.joints is None:
            found = domain in sure
        else:
            apart = all(not one & other for one, other in combinations(set(self._reaches[name]), 2))
            found = apart and set(sure) == set(self._reaches[name])
        self._sure[name] = found
        return found

    def _wording_never_lacks(self, wording: Wording, reach: int) -> bool:
        """The same of a wording, for the facts that it reaches."""
        parts = [part for part in wording.parts if isinstance(part, Reference)]
        if wording.states:
            return not parts and wording.states.bit_count() == 1
        alone = len(parts) == 1
        return all(
            self._never_lacks(part.rule) and (alone or part.optional or self._words(part.rule, 0, 0) is not None)
            for part in parts
        )

    def _slot(self, rule: str, facts: int, person: int) -> Slot | None:
        """A place for a rule's words; None where it states nothing and has no words for that."""
        return Slot(rule, self._domains[rule]) if facts or self._words(rule, 0, person) is not None else None

    def _compiled(self, rule: Rule, facts: int, person: int) -> Known | None:
        """The ways in which a rule states exactly these facts; None where it has none."""
        if rule.joints is None:
            ways = []
            for wording, reach in zip(rule.wordings, self._reaches[rule.name], strict=True):
                if facts & ~reach == 0:
                    way = self._way(wording, facts, person)
                    if way is not None:
                        ways.append((wording.weight, way))
            return _choice(ways) if ways else None
        items: dict[int, list[tuple[float, Way]]] = {}
        for number, reach in enumerate(self._reaches[rule.name]):
            if not (mine := facts & reach):
                continue
            key = rule.name, number, mine, person
            if key not in self._items:
                if len(self._items) >= _MOST_KEPT:
                    self._items.clear()
                self._items[key] = self._way(rule.wordings[number], mine, person)
            way = self._items[key]
            if way is not None:
                items.setdefault(mine, []).append((rule.wordings[number].weight, way))
        stated = sum(mine.bit_count() for mine in items)  # more than there are where two items state one
        if not items or stated != facts.bit_count():
            return None
        return List([_choice(ways) for ways in items.values()], *rule.joints)

    def _way(self, wording: Wording, facts: int, person: int) -> Way | None:
        """A wording, where it states exactly these facts."""
        if wording.states & ~facts:
            return None
        rest = facts & ~wording.states
        parts = self._filled(wording, rest, person, self._later)
        return None if parts is None else Way(wording.states, parts)

    def _filled(
        self, wording: Wording, facts: int, person: int, words: Callable[[str, int, int], Part | None]
    ) -> tuple[Part, ...] | None:
        """A wording's parts, last first, with `words` for its rules; None unless they state exactly the facts."""
        parts: list[Part | None] = []  # None where a rule has nothing to say
        for part in wording.parts:
            if isinstance(part, str):
                parts.append(part)
            elif isinstance(part, Form):
                parts.append(self._form(part, person))
            else:
                mine = facts & self._domains[part.rule]
                facts &= ~mine
                found = words(part.rule, mine, person) if mine or not part.optional else None
                if found is None and (mine or not part.optional):
                    return None
                parts.append(found)
        said = _spaced(parts)
        return tuple(reversed(said)) if said and not facts else None

    def _form(self, form: Form, person: int) -> "str | Article":
        if form.name in self._file.before:
            return Article(form.name, *self._file.before[form.name])
        return self._file.forms[form.name][person]

    def _reach(self, wording: Wording) -> int:
        """All facts that a wording can state."""
        found = wording.states
        for part in wording.parts:
            if isinstance(part, Reference):
                found |= self._domains[part.rule]
        return found

    def _domain(self, rule: Rule, above: tuple[str, ...]) -> int:
        """All facts that a rule can state; notes those of the rules that it names, and checks their names."""
        if rule.name in above:
            raise GrammarError(self._file.path, rule.line, f"{rule.name} is made of itself ({' > '.join(above)})")
        if rule.name in self._domains:
            return self._domains[rule.name]
        if not rule.wordings:
            raise GrammarError(self._file.path, rule.line, f"{rule.name} has no wordings; indent them below it")
        found = 0
        for wording in rule.wordings:
            found |= wording.states
            for part in wording.parts:
                if isinstance(part, Reference):
                    if part.rule not in self._file.rules:
                        raise GrammarError(self._file.path, wording.line, f"there is no rule {part.rule}")
                    found |= self._domain(self._file.rules[part.rule], (*above, rule.name))
                elif isinstance(part, Form) and part.name not in {**self._file.forms, **self._file.before}:
                    raise GrammarError(self._file.path, wording.line, f"{{{part.name}}} is in neither forms nor before")
        self._domains[rule.name] = found
        return found

    def _root_slots(self) -> list[Slot]:
        """The rules that captions are made of. Those of one wording share no facts, so each can be kept by itself."""
        root = self._file.rules[ROOT]
        if root.joints or any(wording.states for wording in root.wordings):
            raise GrammarError(self._file.path, root.line, f"{ROOT} is made of other rules, and states no facts itself")
        of_wordings = [
            sorted({part.rule for part in way.parts if isinstance(part, Reference)}) for way in root.wordings
        ]
        for rules in of_wordings:
            for one, other in combinations(rules, 2):
                if shared := self._domains[one] & self._domains[other]:
                    said = ", ".join(names(shared))
                    raise GrammarError(self._file.path, root.line, f"{one} and {other} both state {said}")
        return [Slot(name, self._domains[name]) for name in sorted({rule for rules in of_wordings for rule in rules})]

    def _check_words(self) -> None:
        """Each set of facts that can occur has words: all sets of few facts, of many each one and each pair."""
        for slot in self._slots:
            single = [1 << place for place in range(len(FACTS)) if slot.domain >> place & 1]
            most = len(single) if len(single) <= _EXHAUSTIVE else 2
            for count in range(1, most + 1):
                for chosen in combinations(single, count):
                    if consistent(sum(chosen)):
                        self.words(slot.rule, sum(chosen), 0)
        root = self._file.rules[ROOT]
        some_share = sum(slot.domain.bit_count() for slot in self._slots) > self.can_say.bit_count()
        always = False
        for wording, reach in zip(root.wordings, self._reaches[ROOT], strict=True):
            # Where rules of two wordings share facts, which of them have some does not tell what a third leaves unsaid.
            if some_share and reach != self.can_say:
                said = ", ".join(names(self.can_say & ~reach))
                raise GrammarError(self._file.path, wording.line, f"this wording of {ROOT} has no words for {said}")
            needed = [part.rule for part in wording.parts if isinstance(part, Reference) and not part.optional]
            always |= reach == self.can_say and all(self._words(rule, 0, 0) is not None for rule in needed)
        if not always:
            raise GrammarError(self._file.path, root.line, f"no wording of {ROOT} has words for every set of facts")


def _choice(ways: Sequence[tuple[float, Way]]) -> Known:
    """A choice among weighted ways; plain words where there is nothing to choose."""
    plain = [(weight, _plain(way)) for weight, way in ways]
    if len(plain) == 1 and not isinstance(plain[0][1], Way):
        return plain[0][1]
    total = sum(weight for weight, _ in ways)
    shares = [share / total for share in accumulate(weight for weight, _ in ways)]
    return Choice(shares[:-1], [way for _, way in plain])  # the last begins where the others end


def _plain(way: Way) -> Way | Known:
    """A way that is one text, or one part, without the way around it."""
    if len(way.parts) > 1:
        return way
    (part,) = way.parts
    if way.states:
        return Text(part, way.states) if isinstance(part, str) else way
    return part if isinstance(part, str | Text | Choice | List) else way


def _spaced(parts: Sequence[Part | None]) -> list[Part]:
    """Parts without those that are left out, nor the blank beside each of them; texts in a row as one."""
    found: list[Part] = []
    gap = False
    for part in parts:
        if part is None:
            gap = True
            continue
        last = found[-1] if found else ""
        if gap and isinstance(part, str):
            if part[0] in _CLOSING and isinstance(last, str) and found:
                found[-1] = last = last.rstrip()
            elif not found or (isinstance(last, str) and last[-1:].isspace()):
                part = part.lstrip()
        gap = False
        if isinstance(part, str) and isinstance(last, str) and found:
            found[-1] = last + part
        elif part != "":
            found.append(part)
    if gap and found and isinstance(found[-1], str):
        found[-1] = found[-1].rstrip()
    return [part for part in found if part != ""]
