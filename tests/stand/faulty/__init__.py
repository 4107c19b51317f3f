"""A stage that serves the tests' fake engine, and a unit that breaks it as ``availability`` breaks vLLM.

``PRACTICUM_STAGE_PACKAGES=faulty`` adds them to an installation.
"""
