"""The one picture reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from bapa.probe import build
from bapa.probe.records import read_picture

from .conftest import SMALL, picture, reasons, table, write


def test_deep_and_fractional_pictures_are_scaled_not_cut_off(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 16 * 16).reshape(16, 16)
    expected = np.rint(ramp / 257).astype(np.uint8)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.tif")
    Image.fromarray(ramp.astype(np.int32)).save(tmp_path / "int.tif")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "unit.tif")
    Image.fromarray((ramp / 257).astype(np.float32)).save(tmp_path / "float.tif")
    for path in tmp_path.iterdir():
        seen = read_picture(path, 16)
        np.testing.assert_allclose(seen[..., 0], expected, atol=1, err_msg=path.name)
        assert (seen == seen[..., :1]).all()


def test_a_picture_that_does_not_say_what_is_white_or_upright_is_left_out(folder: Path, tmp_path: Path) -> None:
    values = np.linspace(-3, 1e5, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(values).save(folder / "far.tif")
    values[0, 0] = np.nan
    Image.fromarray(values).save(folder / "nan.tif")
    Image.new("RGB", (5000, 1)).save(folder / "thin.png")
    picture(60).save(folder / "exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\xff\xff\xff\xff")
    rows = [{"file_name": name, "caption": f"a {name}"} for name in ("far.tif", "nan.tif", "thin.png", "exif.jpg")]
    write(folder, table(folder) + rows)
    found = reasons(build(str(folder), tmp_path / "P", SMALL))
    assert "its values run from -3 to 100000" in found.pop("far.tif")
    assert "its values run from nan to nan" in found.pop("nan.tif")
    assert found.pop("thin.png") == "5000 x 1 px do not fit a cell of 32 px"
    assert all(name == "exif.jpg" for name in found)  # left out or read, as Pillow can; the build goes on
