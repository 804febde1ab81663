"""The agnpy example, run as its users run it: in its own environment, by its own interpreter."""

import json
import os
import re
import subprocess
import tomllib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from astropy import units as u
from astropy.io.votable import parse
from astropy.io.votable.ucd import parse_ucd
from numpy.typing import NDArray

from tests.serving import Server, finished
from uwsd.config import BUNDLED

EXAMPLE = Path(__file__).parents[2] / "examples" / "agnpy"
PYTHON = EXAMPLE / ".venv" / "bin" / "python"
SERVICE = tomllib.loads(BUNDLED.read_text())["services"]["sed"]

COMPONENTS = ["synchrotron", "ssc", "ec_disk", "ec_blr", "ec_torus", "disk", "torus"]
EXTERNAL_COMPTON = ["ec_disk", "ec_blr", "ec_torus"]

Sed = dict[str, NDArray[np.float64]]
Compute = Callable[..., Path]

pytestmark = [
    pytest.mark.skipif(
        not PYTHON.exists() and os.environ.get("CI") != "true",
        reason="examples/agnpy has no environment: make it with `make example`",
    ),
    # VOUnits calls erg and G old-fashioned.
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning"),
]


@pytest.fixture(scope="session")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """Run sed.py with options, once for the same ones, and return the folder it wrote into."""

    @cache
    def run(**options: float) -> Path:
        folder = tmp_path_factory.mktemp("sed")
        done = _sed(folder, *(f"--{name}={value}" for name, value in options.items()))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        (folder / "stdout").write_text(done.stdout)
        return folder

    return run


def test_every_number_is_finite_and_none_is_negative(compute: Compute) -> None:
    sed = _read(compute())
    assert list(sed) == ["frequency", "total", *COMPONENTS]
    for column in sed.values():
        assert len(column) == 181
        assert np.isfinite(column).all()
        assert (column >= 0).all()
        assert column.max() > 0


def test_frequencies_rise_from_radio_waves_to_gamma_rays(compute: Compute) -> None:
    frequency = _read(compute())["frequency"]
    assert (np.diff(frequency) > 0).all()
    assert frequency[[0, -1]] == pytest.approx([1e9, 1e27])


def test_the_total_is_the_sum_of_the_components(compute: Compute) -> None:
    sed = _read(compute())
    assert all((sed["total"] >= sed[name]).all() for name in COMPONENTS)
    np.testing.assert_allclose(sed["total"], sum(sed[name] for name in COMPONENTS), rtol=1e-12)


def test_synchrotron_radiation_peaks_in_the_infrared(compute: Compute) -> None:
    frequency, flux = _peak(_read(compute()), "synchrotron")
    assert 2e13 < frequency < 2e14
    assert 2e-11 < flux < 4e-11


def test_external_compton_scattering_dominates_the_gamma_rays(compute: Compute) -> None:
    sed = _read(compute())
    peak = sed["total"].argmax()
    assert 1e22 < sed["frequency"][peak] < 1e23
    assert sum(sed[name][peak] for name in EXTERNAL_COMPTON) > 0.95 * sed["total"][peak]


def test_thermal_light_has_the_temperatures_of_torus_and_disk(compute: Compute) -> None:
    sed = _read(compute())
    wien = 3.92 * 1000 * u.K * 2.083662e10 * u.Hz / u.K / 1.361  # where nu B_nu peaks, redshifted
    assert _peak(sed, "torus")[0] == pytest.approx(wien.value, rel=0.13)
    assert 5e14 < _peak(sed, "disk")[0] < 5e15


def test_the_model_goes_through_the_observed_points(compute: Compute) -> None:
    sed = _read(compute())
    frequency, flux = (np.array(column) for column in _observed())
    distance = np.abs(np.log10(_at(sed, "total", frequency) / flux))
    assert len(distance) == 41
    assert np.median(distance) < 0.05
    assert (distance < 1).all()


def test_twice_the_field_gives_four_times_the_flux_at_twice_the_frequency(compute: Compute) -> None:
    weak, strong = _read(compute(B=0.2)), _read(compute(B=0.4))
    assert _ratio(strong, weak, "synchrotron", shift=2) == pytest.approx(4, rel=0.02)
    assert _peak(strong, "synchrotron")[0] / _peak(weak, "synchrotron")[0] == pytest.approx(2, 0.01)
    for name in EXTERNAL_COMPTON:
        np.testing.assert_array_equal(strong[name], weak[name])


def test_twice_the_doppler_factor_gives_sixteen_times_the_flux(compute: Compute) -> None:
    slow, fast = _read(compute(delta=12.5)), _read(compute())
    for name in ("synchrotron", "ssc"):
        assert _ratio(fast, slow, name, shift=2) == pytest.approx(16, rel=0.03)
    np.testing.assert_array_equal(fast["torus"], slow["torus"])


def test_a_blob_inside_the_broad_line_region_scatters_its_light(compute: Compute) -> None:
    inside, outside = _read(compute(distance=2e17)), _read(compute())
    assert inside["ec_blr"].max() > 100 * outside["ec_blr"].max()
    assert inside["ec_blr"].max() > 10 * inside["ec_torus"].max()


def test_rings_scatter_as_much_light_as_the_disk_that_they_make_up() -> None:
    """So near, agnpy's own integral over the disk has converged; from afar it has not."""
    rings, disk = _inside(
        """
import numpy as np, sed
np.seterr(all="ignore")
values = {name: parameter.default for name, parameter in sed.PARAMETERS.items()}
values["distance"] = 3e16
process = sed.ExternalCompton(sed._blob(values), sed.DISK, 3e16 * sed.u.cm)
process.set_mu(1000)
process.set_phi(13)
frequencies = [1e19, 1e21, 1e23] * sed.u.Hz
rings = sed._processes(values)["ec_disk"](frequencies)
disk = [float(process.sed_flux(frequency[None])[0].value) for frequency in frequencies]
print([rings.value.tolist(), disk])
"""
    )
    np.testing.assert_allclose(rings, disk, rtol=0.02)


def test_from_afar_the_rings_shine_like_a_point_of_the_luminosity_of_the_disk() -> None:
    rings, point = _inside(
        """
import numpy as np, sed
distance = 6e17 * sed.u.cm
rings = sum(ring.u(distance) for ring in sed._disk_rings())
point = sed.DISK_LUMINOSITY / (4 * np.pi * distance**2 * sed.c)
print([float(density.to_value("erg cm-3")) for density in (rings, point)])
"""
    )
    assert rings == pytest.approx(point, rel=0.01)


def test_the_votable_tells_units_ucds_inputs_and_papers(compute: Compute) -> None:
    document = parse(compute() / "sed.vot", verify="exception")
    table = document.get_first_table()
    for field in [*table.fields, *table.params]:
        assert parse_ucd(field.ucd, check_controlled_vocabulary=True)
        assert field.description
    assert table.fields[0].unit == u.Hz
    assert table.fields[0].ucd == "em.freq"
    assert {field.unit for field in table.fields[1:]} == {u.Unit("erg s-1 cm-2")}
    infos = {info.name: info.value for info in document.resources[0].infos}
    assert infos["QUERY_STATUS"] == "OK"
    assert "Ahnen et al. 2017" in infos["observations"]


def test_the_service_declares_what_the_program_takes(compute: Compute) -> None:
    params = parse(compute() / "sed.vot").get_first_table().params
    declared = SERVICE["parameters"]
    assert {param.name: float(param.value) for param in params} == {
        name: parameter["default"] for name, parameter in declared.items()
    }
    for param in params:
        assert param.ucd == declared[param.name]["ucd"]
        assert u.Unit(declared[param.name].get("unit", "")) == (param.unit or u.one)
        assert f"--{param.name}={{{param.name}}}" in SERVICE["command"]
    assert {result["path"] for result in SERVICE["results"].values()} == {"sed.vot", "sed.png"}


@pytest.mark.parametrize("name", SERVICE["parameters"])
def test_a_number_out_of_range_is_refused(name: str, tmp_path: Path) -> None:
    low, high = SERVICE["parameters"][name]["range"]
    for wrong in (low * 0.99, high * 1.01):
        done = _sed(tmp_path, f"--{name}={wrong}", "--help")
        assert done.returncode == 2
        assert f"argument --{name}: {wrong} is outside the range {low:g} to {high:g}" in done.stderr
    assert _sed(tmp_path, f"--{name}={low}", f"--{name}={high}", "--help").returncode == 0


@pytest.mark.parametrize("wrong", ["--B=nan", "--B=inf", "--B=-1", "--B=much", "--B=", "--C=1"])
def test_what_is_no_such_number_is_refused(wrong: str, tmp_path: Path) -> None:
    done = _sed(tmp_path, wrong)
    assert done.returncode == 2
    assert "sed.py: error: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_figure_is_a_large_png_with_something_on_it(compute: Compute) -> None:
    data = (compute() / "sed.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert width >= 1200
    assert height >= 800
    pixels = zlib.decompress(b"".join(_chunks(data, b"IDAT")))
    assert len(pixels) == height * (4 * width + 1)
    assert len(set(pixels)) > 100


def test_progress_is_told_line_by_line(compute: Compute) -> None:
    lines = (compute() / "stdout").read_text().splitlines()
    told = [re.sub(r"^\S+ \S+ ", "", line).split()[0] for line in lines]
    assert told == ["parameters:", *COMPONENTS, "wrote"]


def test_the_notebook_runs_with_other_parameters(tmp_path: Path) -> None:
    notebook = tmp_path / "sed.ipynb"
    command = (PYTHON, "-m", "papermill", "-p", "B", "0.5", EXAMPLE / "sed.ipynb", notebook)
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE)}
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, env=environment)
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("B = 0.5" in "".join(cell["source"]) for cell in cells)
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = json.loads((EXAMPLE / "sed.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert [cell["metadata"].get("tags") for cell in code if cell["metadata"]] == [["parameters"]]


def test_the_lock_pins_every_package_by_hash_and_names_no_address() -> None:
    lock = (EXAMPLE / "requirements.lock").read_text()
    packages = [entry for entry in re.split(r"\n(?=\S)", lock) if entry]
    assert all(re.match(r"[\w.-]+==\S+", package) for package in packages)
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"://|--find-links|--index|@|(^|\s)/", lock)


def _sed(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-I", str(EXAMPLE / "sed.py"), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _inside(program: str) -> Any:
    """Run a program where `import sed` works, and return the JSON that it prints last."""
    done = subprocess.run(
        [PYTHON, "-c", program], cwd=EXAMPLE, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _observed() -> tuple[list[float], list[float]]:
    frequency, flux = _inside(
        """
import sed
points = sed.observations()
points = points[points["frequency"] > 1e11 * sed.u.Hz]
print([points["frequency"].value.tolist(), points["flux"].value.tolist()])
"""
    )
    return frequency, flux


def _read(folder: Path) -> Sed:
    array = parse(folder / "sed.vot").get_first_table().array
    return {name: np.asarray(array[name]) for name in array.dtype.names}


def _peak(sed: Sed, name: str) -> tuple[float, float]:
    """Return frequency and flux of the peak, by the parabola through its three highest points."""
    at = sed[name].argmax() + np.arange(-1, 2)
    frequency, flux = np.log(sed["frequency"][at]), np.log(sed[name][at])
    middle = frequency[1]
    a, b, c = np.polyfit(frequency - middle, flux, 2)
    return float(np.exp(middle - b / (2 * a))), float(np.exp(c - b**2 / (4 * a)))


def _ratio(sed: Sed, other: Sed, name: str, *, shift: float) -> float:
    """Return the ratio of two SEDs at the other's peak, when it is moved up in frequency."""
    frequency, flux = _peak(other, name)
    return float(_at(sed, name, np.array(shift * frequency)) / flux)


def _at(sed: Sed, name: str, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the flux between the grid's frequencies, by straight lines in the logarithms."""
    shines = sed[name] > 0
    grid, flux = np.log(sed["frequency"][shines]), np.log(sed[name][shines])
    return np.exp(np.interp(np.log(frequency), grid, flux))


def _chunks(png: bytes, wanted: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == wanted:
            found.append(png[at + 8 : at + 8 + length])
        at += length + 12
    return found


def test_the_service_computes_it_too(server: Server) -> None:
    form = {"B": "0.5", "PHASE": "RUN"}
    job = requests.post(f"{server.url}/sed/async", data=form, timeout=60).url
    assert finished(job) == "COMPLETED", requests.get(f"{job}/results/stderr", timeout=60).text
    votable = requests.get(f"{job}/results/result", timeout=60)
    assert votable.headers["Content-Type"] == "application/x-votable+xml"
    assert b"<VOTABLE" in votable.content
    assert requests.get(f"{job}/results/plot", timeout=60).content.startswith(b"\x89PNG")
