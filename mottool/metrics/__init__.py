"""How good tracks are: CLEAR, Identity and HOTA by MOTChallenge's rules."""
