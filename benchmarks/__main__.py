"""``python -m benchmarks [PART]...``: measure, print one table, fail when something is missed."""
import sys
from benchmarks.rates import rates
from benchmarks.table import show
def main() -> None:
    pg = "pg" in sys.argv; keep="keep" in sys.argv
    list(show(rates(int(sys.argv[1]), float(sys.argv[2]), keep, pg)))
if __name__ == "__main__":
    main()
