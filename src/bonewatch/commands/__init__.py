"""The commands, a module each: `bonewatch.cli` loads one when it is asked for."""
