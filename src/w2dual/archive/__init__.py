"""The archive for reviewers: made, checked, unpacked, and run again."""
