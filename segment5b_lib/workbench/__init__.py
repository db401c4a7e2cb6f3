"""Workbench: the objects that a notebook gets from `import segment5b_lib as s5`."""
