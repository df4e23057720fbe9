"""From detections to tracks: shared parts (motion, assignment, tracks) and one file per tracker."""
