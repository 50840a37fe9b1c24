"""Names in captions and faces in their images, brought together without labels (SECLA, WACV 2023)."""
