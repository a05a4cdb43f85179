"""Two years of a scanner that drifts from a known day on, folded: does its review say since when, and by how much?"""
