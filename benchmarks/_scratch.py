import sys, statistics
from benchmarks.web import *
from benchmarks.sites import *
import os
from pathlib import Path
def cpu(pids):
    t=0
    for p in pids:
        f=Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split(); t+=int(f[11])+int(f[12])
    return t/os.sysconf("SC_CLK_TCK")
def kids(port):
    import re
    inode=None
    out=[]
    for d in Path("/proc").glob("[0-9]*"):
        try:
            c=(d/"cmdline").read_bytes().replace(b"\0",b" ").decode()
            if "gunicorn" in c: out.append((int(d.name), int((d/"stat").read_text().rpartition(")")[2].split()[1]), c))
        except OSError: pass
    return out
def main():
    workers=int(sys.argv[1]); keep=sys.argv[2]=="keep"; rounds=int(sys.argv[3])
    from contextlib import ExitStack
    with ExitStack() as st:
        c=st.enter_context(constant(workers)); env={}
        if len(sys.argv)>4:
            from tests.engines.postgresql import postgresql, fresh_database
            url=st.enter_context(fresh_database(st.enter_context(postgresql())))
            env={"UWSD_DATABASE__URL":url}

            subprocess.run([sys.executable,"-m","uwsd","migrate"],env=os.environ|env|{"UWSD_DATA":"/tmp/speed-x"},check=True)
        s=st.enter_context(site(workers=workers,**env))
        jobs=[create(s,TEXT="hello",SECONDS="1",EXIT="0") for _ in range(1000)]
        me=os.getpid(); from tests.serving import descendants
        web=[p for p,pp,c in kids(0) if pp in [q for q in descendants(s.process.pid)]]
        con=[p for p,pp,c in kids(0) if "constant_server" in c and pp!=me and pp in [q for q,qq,_ in kids(0) if qq==me]]
        L=s.url+"/demo/async"
        cases={"const":(c,[request(c,keep=keep)],200),
         "healthz":(s.url,[request(s.url+"/healthz",keep=keep)],200),
         "get":(s.url,[request(j,keep=keep) for j in jobs],200),
         "phase":(s.url,[request(j+"/phase",keep=keep) for j in jobs],200),
         "last100":(s.url,[request(L+"?LAST=100",keep=keep)],200),
         "post":(s.url,[request(L,{"TEXT":"hello","SECONDS":"1"},keep=keep)],303)}
        cp={}; res={k:[] for k in cases}
        for r in range(rounds):
            for k,(u,m,st_) in cases.items():
                b=cpu(con if k=="const" else web)
                l=hammer(address_of(u),m,clients=4*workers,seconds=0.6,status=st_)
                res[k].append(l.rate); cp.setdefault(k,[]).append((cpu(con if k=="const" else web)-b)/len(l.latencies)*1e6)
        for k in cases:
            rat=[a/b for a,b in zip(res[k],res["const"])]
            print(f"{k:10} {statistics.median(res[k]):8.0f}/s ratio {statistics.median(rat):.2f}  {min(rat):.2f}-{max(rat):.2f} cpu {statistics.median(cp[k]):.0f} us ratio {statistics.median(cp['const'])/statistics.median(cp[k]):.2f}")
if __name__=="__main__": main()
