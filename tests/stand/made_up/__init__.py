"""Stages and a unit that no file of the product knows: a small HTTP server, and a task that asks it again and again.

``PRACTICUM_STAGE_PACKAGES=made_up`` adds them to an installation; :func:`made_up.register.register` adds them to a
process that has imported the curriculum already.
"""
