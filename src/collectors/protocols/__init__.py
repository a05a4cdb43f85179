"""What scales and stadiometers say on a serial line: bytes in, readings out. No port, no clock, no thread.

Every parser takes bytes in any pieces and gives the same for all of them; what it cannot read it names as noise, in
bounded memory.
"""
