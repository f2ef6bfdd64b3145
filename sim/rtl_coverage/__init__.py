"""Which lines, branches and bits of the RTL its workloads reach, and why the rest is not reached."""
