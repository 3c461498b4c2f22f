"""``python -m build_engines.own_code DESCRIPTOR``; not for people: the builder starts it."""

from build_engines.own_code.server import main

if __name__ == "__main__":
    main()
