"""Yaw and pitch of aligned crops by MediaPipe's face mesh, an independent reference for the head pose.

    python benchmarks/mediapipe_pose.py lfw112.tar MESH.csv      # in an environment with mediapipe 0.10.14, numpy < 2

The mesh's own depth gives the angles: yaw from the line between the outer eye corners (33, 263), pitch from the line
between forehead and chin (10, 152). The pitch's zero is the mesh's, not ours. Crops without a found mesh are left out.
"""

import csv
import io
import sys
import tarfile

import mediapipe
import numpy as np
from PIL import Image

_SCALE, _MARGIN = 3, 84  # the mesh's own detector wants larger faces with room around them


def main() -> None:
    archive_path, out = sys.argv[1:]
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, min_detection_confidence=0.3)
    found = 0
    with tarfile.open(archive_path) as archive, open(out, "w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "yaw", "pitch"])
        for member in archive:
            if not member.name.endswith(".jpg"):
                continue
            image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
            large = np.array(image.resize((_SCALE * image.width, _SCALE * image.height), Image.Resampling.BICUBIC))
            result = mesh.process(np.pad(large, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), mode="edge"))
            if not result.multi_face_landmarks:
                continue
            points = np.array([[p.x, p.y, p.z] for p in result.multi_face_landmarks[0].landmark])
            across, up = points[263] - points[33], points[10] - points[152]
            # Depth grows away from the camera: a head turned to the image's right has its right eye further away.
            yaw = np.degrees(np.arctan2(across[2], across[0]))
            pitch = np.degrees(np.arctan2(up[2], -up[1]))
            writer.writerow([member.name, f"{yaw:.2f}", f"{pitch:.2f}"])
            found += 1
    print(f"{out}: {found} poses")


if __name__ == "__main__":
    main()
