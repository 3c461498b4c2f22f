"""The supply chain: what is shipped, under which licences, with which known weaknesses, and which files exactly."""
