"""placeholder"""


def write(folder, record):
    return None
