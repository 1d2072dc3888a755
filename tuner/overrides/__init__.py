"""What operators of the cluster lay down by hand: a text in, what applies to a workload out.

``document`` reads the text, ``book`` remembers the last good version of each entry, ``resolve``
tells what applies to one workload at one time. The last two are pure: a restarted controller that
is given the same text, time and record comes to the same answer.
"""
