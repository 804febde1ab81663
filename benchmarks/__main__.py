"""``python -m benchmarks [PART]...``: measure, print one table, fail when something is missed."""
import sys
from benchmarks.rates import rates
from benchmarks.locks import locks
from benchmarks.runs import runs
from benchmarks.lists import scale, streams
from benchmarks.waits import woken, ended
from benchmarks.table import show
def main() -> None:
    pg = "pg" in sys.argv; keep="keep" in sys.argv
    P={"rates":lambda: rates(20,.2,keep,pg),"locks":lambda:locks(6),"runs":lambda:runs(30,pg),"streams":lambda:streams(),"scale":lambda:scale(1000000,pg),
    "woken1":lambda: woken(10000,1,pg),"woken2":lambda:woken(10000,2,pg),"ended":lambda: ended(10000)}
    for n in sys.argv[1:]:
        if n in P: list(show(P[n]()))
if __name__ == "__main__":
    main()
