"""MOTChallenge: its text formats, its rules and its public detections."""
