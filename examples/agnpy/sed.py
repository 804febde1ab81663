"""The spectral energy distribution of a blazar, from radio waves to gamma rays.

What lives here: one blob of electrons in a jet above an accretion disk, a broad line region and
a dust torus, computed with agnpy; the VOTable and the figure made of it. The notebook beside this
file and the service both use these functions.

The fixed numbers describe PKS 1510-089 as agnpy's own fit does (the tutorial of release 0.1.8,
with the observations of Ahnen et al. 2017 that agnpy carries).
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import astropy.units as u
import numpy as np
from agnpy.compton import ExternalCompton, SynchrotronSelfCompton
from agnpy.emission_regions import Blob
from agnpy.spectra import BrokenPowerLaw
from agnpy.synchrotron import Synchrotron
from agnpy.targets import RingDustTorus, SphericalShellBLR, SSDisk
from astropy.constants import M_sun, c, h, k_B, m_e
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info, Param, VOTableFile
from astropy.table import QTable, Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

log = logging.getLogger("sed")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number that a user may choose, and the closed interval it must lie in."""

    default: float
    low: float
    high: float
    unit: str
    ucd: str
    description: str

    def parse(self, text: str) -> float:
        """Return the number, or say which numbers are taken."""
        value = float(text)
        if not self.low <= value <= self.high:  # also refuses nan
            bounds = f"{self.low:g} to {self.high:g} {self.unit}".rstrip()
            raise argparse.ArgumentTypeError(f"{text} is outside the range {bounds}")
        return value


# A jet of Lorentz factor 20 cannot be beamed by more than about 40; the slopes lie on either side
# of 3, so that the SED has its peak at the break.
PARAMETERS = {
    "B": Parameter(0.379, 0.01, 10, "G", "phys.magField", "magnetic field in the blob"),
    "delta": Parameter(25, 5, 39, "", "arith.factor;phys.veloc", "Doppler factor of the blob"),
    "distance": Parameter(
        6e17, 1e17, 1e19, "cm", "pos.distance", "distance of the blob from the black hole"
    ),
    "p1": Parameter(
        2.0, 1.0, 2.9, "", "spect.index;phys.electron", "electron spectrum's slope below the break"
    ),
    "p2": Parameter(
        3.16, 3.1, 5.0, "", "spect.index;phys.electron", "electron spectrum's slope above the break"
    ),
    "gamma_b": Parameter(
        1026, 100, 10000, "", "phys.energy;phys.electron", "electrons' Lorentz factor at the break"
    ),
    "k_e": Parameter(
        8.73e-3,
        1e-5,
        1,
        "cm-3",
        "phys.density;phys.electron",
        "density of electrons per unit Lorentz factor at the break",
    ),
}

COMPONENTS = {
    "synchrotron": "synchrotron radiation of the blob, self-absorbed",
    "ssc": "synchrotron photons scattered by the electrons that made them (SSC)",
    "ec_disk": "external Compton scattering of photons of the accretion disk",
    "ec_blr": "external Compton scattering of photons of the broad line region",
    "ec_torus": "external Compton scattering of photons of the dust torus",
    "disk": "thermal radiation of the accretion disk",
    "torus": "thermal radiation of the dust torus",
}

FLUX = u.Unit("erg cm-2 s-1")
FREQUENCIES = np.logspace(9, 27, 181) << u.Hz
# agnpy evaluates all electrons, angles and frequencies in one array: few frequencies at a time keep
# it at some ten megabytes, which is also faster.
FREQUENCIES_AT_ONCE = 16

REDSHIFT = 0.361
JET_LORENTZ_FACTOR = 20
BLOB_RADIUS = 2.38e16 * u.cm  # light crosses it in half a day, seen with a Doppler factor of 25
GAMMA_MIN, GAMMA_MAX = 1, 3e4

DISK_LUMINOSITY = 6.7e45 * u.Unit("erg s-1")
DISK = SSDisk(5.71e7 * M_sun, DISK_LUMINOSITY, 1 / 12, 6, 1e4, R_g_units=True)
# Ghisellini and Tavecchio (2009): a tenth of the disk's light, from 1e17 cm (L / 1e45 erg/s)^(1/2).
BLR = SphericalShellBLR(DISK_LUMINOSITY, 0.1, "Lyalpha", 2.59e17 * u.cm)
TORUS = RingDustTorus(DISK_LUMINOSITY, 0.6, 1e3 * u.K, R_dt=6.47e18 * u.cm)

REFERENCES = {
    "observations": "Ahnen et al. 2017, A&A 603, A29 (PKS 1510-089, 2015, period B)",
    "software": f"agnpy {version('agnpy')}: Nigro et al. 2022, A&A 660, A18",
    "synchrotron_self_compton": "Finke, Dermer & Boettcher 2008, ApJ 686, 181",
    "external_compton": "Dermer et al. 2009, ApJ 692, 32; Finke 2016, ApJ 830, 94",
}


def spectrum(values: Mapping[str, float]) -> QTable:
    """Return the model: `frequency` (Hz), `total` and `COMPONENTS` (nu F_nu, erg cm-2 s-1).

    Frequencies and fluxes are those that an observer measures; the extragalactic background light
    absorbs nothing. Raises `ArithmeticError` where the model has no sensible value.
    """
    table = QTable({"frequency": FREQUENCIES})
    for name, flux in _processes(values).items():
        started = time.monotonic()
        table[name] = _evaluate(flux)
        peak = table[name].argmax()
        log.info(
            "%-11s peaks with %.2e at %.1e Hz (%.1f s)",
            name,
            table[name][peak].value,
            FREQUENCIES[peak].value,
            time.monotonic() - started,
        )
    table.add_column(sum(table[name] for name in COMPONENTS), name="total", index=1)
    return table


def _processes(values: Mapping[str, float]) -> dict[str, Callable[[u.Quantity], u.Quantity]]:
    """Return the functions that give the flux at frequencies, in the order of `COMPONENTS`."""
    blob = _blob(values)
    distance = values["distance"] * u.cm
    return {
        "synchrotron": Synchrotron(blob, ssa=True).sed_flux,
        "ssc": SynchrotronSelfCompton(blob, ssa=True).sed_flux,
        "ec_disk": _sum([_external_compton(blob, ring, distance) for ring in _disk_rings()]),
        # Photons of one energy: only many electrons draw the scattered spectrum without ripples.
        "ec_blr": _external_compton(_blob(values, electrons=400), BLR, distance).sed_flux,
        "ec_torus": _external_compton(_blob(values, electrons=2000), TORUS, distance).sed_flux,
        "disk": lambda nu: DISK.sed_flux(nu, REDSHIFT),
        "torus": lambda nu: TORUS.sed_flux(nu, REDSHIFT),
    }


def _blob(values: Mapping[str, float], *, electrons: int = 200) -> Blob:
    distribution = BrokenPowerLaw(
        k=values["k_e"] * u.Unit("cm-3"),
        p1=values["p1"],
        p2=values["p2"],
        gamma_b=values["gamma_b"],
        gamma_min=GAMMA_MIN,
        gamma_max=GAMMA_MAX,
    )
    return Blob(
        R_b=BLOB_RADIUS,
        z=REDSHIFT,
        delta_D=values["delta"],
        Gamma=JET_LORENTZ_FACTOR,
        B=values["B"] * u.G,
        n_e=distribution,
        gamma_e_size=electrons,
    )


def _disk_rings(count: int = 40) -> list[RingDustTorus]:
    """Return the accretion disk as rings, equally spaced in log R, that shine as its annuli do.

    agnpy's own integral over the disk takes equal steps in mu. From far away these step over the
    hot inner disk, where most of the light comes from.
    """
    edges = np.geomspace(DISK.R_in_tilde, DISK.R_out_tilde, count + 1)
    nearness = DISK.R_in_tilde / edges
    # Shakura and Sunyaev's flux, proportional to R^-3 (1 - (R_in / R)^(1/2)), integrated over R.
    shares = -np.diff(3 * nearness - 2 * nearness**1.5)
    radii = np.sqrt(edges[1:] * edges[:-1])
    temperatures = (DISK.epsilon(radii) / 2.7 * m_e * c**2 / k_B).to(u.K)
    return [
        RingDustTorus(DISK_LUMINOSITY, share, temperature, R_dt=radius * DISK.R_g)
        for share, temperature, radius in zip(shares, temperatures, radii, strict=True)
    ]


def _sum(processes: list[ExternalCompton]) -> Callable[[u.Quantity], u.Quantity]:
    return lambda nu: sum(process.sed_flux(nu) for process in processes)


def _external_compton(
    blob: Blob, target: SphericalShellBLR | RingDustTorus, distance: u.Quantity
) -> ExternalCompton:
    process = ExternalCompton(blob, target, distance)
    process.set_phi(25)
    if target is BLR:
        # A blob near the shell sees the nearest part of it brightest, where mu is almost 1: steps
        # that shrink towards it keep the integral right; at 1 itself it could divide by zero.
        process.mu = 1 - np.logspace(np.log10(2), -8, 40)
    return process


def _evaluate(flux: Callable[[u.Quantity], u.Quantity]) -> u.Quantity:
    chunks = np.array_split(FREQUENCIES, len(FREQUENCIES) // FREQUENCIES_AT_ONCE + 1)
    # agnpy divides by zero and overflows on the way to limits that are right (an optical depth of
    # zero, the Wien tail), so what counts is the result.
    with np.errstate(all="ignore"):
        result = np.concatenate([flux(chunk) for chunk in chunks]).to(FLUX)
    if not (np.isfinite(result) & (result >= 0)).all():
        raise ArithmeticError("the model is not finite, or negative, for these parameters")
    return result


def observations() -> QTable:
    """Return the observed points: `frequency`, `flux`, `error_low`, `error_high`, `instrument`."""
    source = files("agnpy") / "data" / "mwl_seds" / "PKS1510-089_2015b.ecsv"
    points = QTable.read(str(source), format="ascii.ecsv")
    return QTable(
        {
            "frequency": points["e_ref"].to(u.Hz, u.spectral()),
            "flux": points["e2dnde"].to(FLUX),
            "error_low": points["e2dnde_errn"].to(FLUX),
            "error_high": points["e2dnde_errp"].to(FLUX),
            "instrument": points["instrument"],
        }
    )


def votable(table: QTable, values: Mapping[str, float]) -> VOTableFile:
    """Return the model as a VOTable, with the numbers it was made of and the papers it follows."""
    document = from_table(Table(table), table_id="sed")
    resource = document.resources[0]
    sed = resource.tables[0]
    sed.description = "Model of the spectral energy distribution of PKS 1510-089"
    resource.infos.append(Info(name="QUERY_STATUS", value="OK"))
    resource.infos.extend(Info(name=name, value=text) for name, text in REFERENCES.items())
    sed.params.extend(
        _param(document, name, values[name], parameter) for name, parameter in PARAMETERS.items()
    )
    for field in sed.fields:
        field.ucd, field.description = _COLUMNS[field.name]
    return document


_COLUMNS = {
    "frequency": ("em.freq", "frequency that the observer measures"),
    "total": ("phot.flux;meta.modelled;meta.main", "nu F_nu of all components together"),
    **{
        name: ("phot.flux;meta.modelled", f"nu F_nu of the {text}")
        for name, text in COMPONENTS.items()
    },
}


def _param(document: VOTableFile, name: str, value: float, parameter: Parameter) -> Param:
    param = Param(
        document,
        name=name,
        value=value,
        datatype="double",
        unit=parameter.unit or None,
        ucd=parameter.ucd,
    )
    param.description = parameter.description
    return param


def figure(table: QTable, values: Mapping[str, float]) -> Figure:
    """Return the model drawn over the observed points, with the numbers it was made of on top."""
    drawing = Figure(figsize=(10, 7), layout="constrained")
    axes = drawing.subplots()
    nu = table["frequency"].value
    axes.plot(nu, table["total"].value, color="black", linewidth=3, label="total")
    for name, (label, style, colour) in _LINES.items():
        axes.plot(nu, table[name].value, style, color=colour, linewidth=1.5, label=label)
    _draw_observations(axes)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(nu[0], nu[-1]),
        ylim=(1e-15, 5 * max(table["total"].max(), observations()["flux"].max()).value),
        xlabel=r"frequency $\nu$  [Hz]",
        ylabel=r"$\nu F_\nu$  [erg cm$^{-2}$ s$^{-1}$]",
    )
    drawing.suptitle("PKS 1510-089:   " + "   ".join(_described(values)), fontsize="medium")
    axes.grid(color="0.92")
    drawing.legend(ncols=3, loc="outside lower center", frameon=False)
    energies = axes.secondary_xaxis("top", functions=(_electronvolts, _hertz))
    energies.set_xlabel("photon energy  [eV]")
    return drawing


def _described(values: Mapping[str, float]) -> Iterator[str]:
    for name, value in values.items():
        yield f"{name} = {value:g} {PARAMETERS[name].unit}".rstrip()


_LINES = {
    "synchrotron": ("synchrotron", "-", "#d55e00"),
    "ssc": ("synchrotron self-Compton", "-", "#e69f00"),
    "ec_torus": ("external Compton: dust torus", "-", "#0072b2"),
    "ec_blr": ("external Compton: broad lines", "-", "#56b4e9"),
    "ec_disk": ("external Compton: disk", "-", "#009e73"),
    "disk": ("accretion disk", "--", "#cc79a7"),
    "torus": ("dust torus", "--", "#999999"),
}


def _draw_observations(axes: Axes) -> None:
    points = observations()
    axes.errorbar(
        points["frequency"].value,
        points["flux"].value,
        yerr=[points["error_low"].value, points["error_high"].value],
        fmt="o",
        markersize=4.5,
        color="black",
        markerfacecolor="white",
        elinewidth=1,
        capsize=2,
        zorder=4,
        label="observed: Ahnen et al. (2017)",
    )


def _electronvolts(hertz: np.ndarray) -> np.ndarray:
    return hertz * _PLANCK


def _hertz(electronvolts: np.ndarray) -> np.ndarray:
    return electronvolts / _PLANCK


_PLANCK = h.to_value("eV s")


def main() -> None:
    """Write `sed.vot` and `sed.png` into the current folder."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    # Where there is no home folder to cache fonts in, matplotlib says so at length.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    values = vars(_arguments().parse_args())
    log.info("parameters: %s", ", ".join(_described(values)))
    table = spectrum(values)
    with warnings.catch_warnings():
        # VOUnits calls the units of this field, erg and G, old-fashioned; they are not wrong.
        warnings.simplefilter("ignore", u.UnitsWarning)
        votable(table, values).to_xml("sed.vot")
    figure(table, values).savefig("sed.png", dpi=150)
    log.info("wrote sed.vot and sed.png in %s", Path.cwd())


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compute the spectral energy distribution of PKS 1510-089.", allow_abbrev=False
    )
    for name, parameter in PARAMETERS.items():
        parser.add_argument(
            f"--{name}",
            type=parameter.parse,
            default=parameter.default,
            metavar=parameter.unit or "NUMBER",
            help=f"{parameter.description}, {parameter.low:g} to {parameter.high:g}"
            " (default: %(default)g)",
        )
    return parser


if __name__ == "__main__":
    main()
