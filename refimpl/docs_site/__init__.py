"""What the documentation's site is made of beside the pages in `refimpl/docs`: `mkdocs.yml` names `hooks.py`."""
