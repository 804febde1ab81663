import sys, os, time, select, statistics, threading
from multiprocessing import get_context
from benchmarks.web import *
from benchmarks.sites import *
from benchmarks.fill import *
def hold(pipe, address, messages, again):
    poll=select.epoll(); conns={}; got=[]
    def handle(evs):
        for fd,_ in evs:
            s,i=conns[fd]; d=s.recv(65536)
            got.append((i,time.perf_counter(), d[9:12]))
            if again: s.sendall(messages[i]); 
            else: poll.unregister(fd); s.close(); del conns[fd]
    for i,m in enumerate(messages):
        s=connect(address); s.sendall(m); poll.register(s,select.EPOLLIN); conns[s.fileno()]=(s,i)
        handle(poll.poll(0))
    pipe.send("open"); 
    while not pipe.poll():
        handle(poll.poll(0.05))
    pipe.recv(); pipe.send(got)
def waiters(address,messages,again=False):
    ctx=get_context("spawn"); a,b=ctx.Pipe(); p=ctx.Process(target=hold,args=(b,address,messages,again)); p.start(); return p,a
def pc(v): return f"n={len(v)} p50 {percentile(v,50)*1e3:.1f} p99 {percentile(v,99)*1e3:.1f} max {max(v)*1e3:.1f} ms"
def status(pid,k): return [l.split()[1] for l in open(f"/proc/{pid}/status") if l.startswith(k)][0]
def sched(p):
    a,b,c=open(f"/proc/{p}/schedstat").read().split(); return int(a)/1e9,int(b)/1e9
def main():
    N=int(sys.argv[1]); J=N//4; workers=int(sys.argv[2]); wait=sys.argv[3]
    with site(workers=workers) as s, beside(1) as pool:
        fill(f"sqlite:///{s.data}/uwsd.db",J+1)
        from tests.serving import descendants
        import pathlib
        def ppid(p): return int(pathlib.Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()[1])
        ds=descendants(s.process.pid); web=[p for p in ds if ppid(p) in ds]
        print("web",web)
        A=address_of(s.url); L=s.url+"/demo/async"
        P=request(f"{L}/{job_id(J)}")
        print("idle  ",pc(pool.submit(probe,A,P,seconds=5,every=0.01).result()), "rss",[status(p,"VmRSS") for p in web],"threads",[status(p,"Threads") for p in web])
        t=time.time()
        pr,pipe=waiters(A,[request(f"{L}/{job_id(i%J)}?WAIT={wait}") for i in range(N)])
        pipe.recv(); print("opened in",time.time()-t)
        with connect(A) as c:
            while True:
                b=time.perf_counter(); exchange(c,P)
                if time.perf_counter()-b<.05: break
        print("settled",time.time()-t)
        print("with  ",pc(pool.submit(probe,A,P,seconds=5,every=0.01).result()), "rss",[status(p,"VmRSS") for p in web],"threads",[status(p,"Threads") for p in web])
        if wait=="-1":
            s0=sched(web[0]); f=pool.submit(probe,A,P,seconds=8,every=0.01); posted={}
            with connect(A) as c:
                for k in range(350):
                    b=time.perf_counter(); posted[k]=b
                    a=exchange(c,request(f"{L}/{job_id(k)}/phase",{"PHASE":"ABORT"})); assert a.status==303,a.head
                    time.sleep(max(0,b+.02-time.perf_counter()))
            print("during",pc(f.result())); s1=sched(web[0]); print("cpu",s1[0]-s0[0],"delayed",s1[1]-s0[1])
            time.sleep(.5)
            pipe.send("x"); got=pipe.recv()
            print("wake  ",pc([at-posted[i%J] for i,at,_ in got if i%J in posted]), "others", len([1 for i,_,_ in got if i%J not in posted]))
        else:
            s0=sched(web[0]); f=pool.submit(probe,A,P,seconds=float(wait)+4,every=0.01); import subprocess; sp=subprocess.Popen(["/tmp/spyvenv/bin/py-spy","record","-p",str(web[0]),"-r","200","-d","20","-f","raw","-o","/tmp/spyw.txt"],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL) if os.environ.get("SPY") else None
            r=f.result(); print("end   ",pc(r)); tt=0
            for x in r:
                tt+=max(x,.01)
                if x>.1: print("   long at",round(tt,1),round(x,3))
            if sp: sp.wait()
            s1=sched(web[0]); print("cpu",s1[0]-s0[0],"delayed",s1[1]-s0[1])
            pipe.send("x"); got=pipe.recv(); ts=[x[1] for x in got]; print("ended",len(got),"over",max(ts)-min(ts))
        pr.join()
        print(s.log[-2000:])
if __name__=="__main__": main()
