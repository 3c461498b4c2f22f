"""``vitrail-serve doctor``: what is wrong with a deployment, and what to change. It changes nothing itself."""
