"""Parses a command line when it is imported."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
ARGUMENTS = parser.parse_args()
