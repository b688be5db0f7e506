"""What trains or measures for a page of the documentation: one folder a study, run from the repository.

``python -m studies.NAME run ...`` measures and keeps the figures in ``studies/NAME/record.json``;
``python -m studies.NAME write`` writes them into the pages. A test holds every page against its record.
"""
