import sys, statistics
from benchmarks.web import *
from benchmarks.sites import *
def main():
    workers=int(sys.argv[1]); keep=sys.argv[2]=="keep"; rounds=int(sys.argv[3])
    from contextlib import ExitStack
    with ExitStack() as st:
        c=st.enter_context(constant(workers)); env={}
        if len(sys.argv)>4:
            from tests.engines.postgresql import postgresql, fresh_database
            url=st.enter_context(fresh_database(st.enter_context(postgresql())))
            env={"UWSD_DATABASE__URL":url}
            import os
            subprocess.run([sys.executable,"-m","uwsd","migrate"],env=os.environ|env|{"UWSD_DATA":"/tmp/speed-x"},check=True)
        s=st.enter_context(site(workers=workers,**env))
        jobs=[create(s,TEXT="hello",SECONDS="1",EXIT="0") for _ in range(1000)]
        L=s.url+"/demo/async"
        cases={"const":(c,[request(c,keep=keep)],200),
         "healthz":(s.url,[request(s.url+"/healthz",keep=keep)],200),
         "get":(s.url,[request(j,keep=keep) for j in jobs],200),
         "phase":(s.url,[request(j+"/phase",keep=keep) for j in jobs],200),
         "last100":(s.url,[request(L+"?LAST=100",keep=keep)],200),
         "post":(s.url,[request(L,{"TEXT":"hello","SECONDS":"1"},keep=keep)],303)}
        res={k:[] for k in cases}
        for r in range(rounds):
            for k,(u,m,st_) in cases.items():
                l=hammer(address_of(u),m,clients=4*workers,seconds=0.6,status=st_)
                res[k].append(l.rate)
        for k in cases:
            rat=[a/b for a,b in zip(res[k],res["const"])]
            print(f"{k:10} {statistics.median(res[k]):8.0f}/s ratio {statistics.median(rat):.2f}  {min(rat):.2f}-{max(rat):.2f}")
if __name__=="__main__": main()
