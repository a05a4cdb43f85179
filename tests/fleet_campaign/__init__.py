"""The fleet's kill campaign: `ground` runs its processes, `expected` says what must come out, `campaign` does it."""
