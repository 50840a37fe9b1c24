"""What `verify_dataset` is made of: the check of one shard, worker processes, and the record of what was checked."""
