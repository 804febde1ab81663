import sys, subprocess, os
from benchmarks.web import *; from benchmarks.sites import *; from benchmarks.fill import *
def main():
    what=sys.argv[1]
    with constant(1) as (url,pids), site() as at:
        fill(at.database_url,1000)
        m={"get":(at.url,200,[request(f"{at.url}/{job_id(n)}",keep=False) for n in range(1000)],at.web),
           "post":(at.url,303,[request(at.url,{"TEXT":"hello","SECONDS":"1"},keep=False)],at.web),
           "last":(at.url,200,[request(at.url+"?LAST=100",keep=False)],at.web),
           "const":(url,200,[request(url,keep=False)],pids)}[what]
        hammer(address_of(m[0]),m[2],clients=4,seconds=1,status=m[1])
        sp=subprocess.Popen(["/tmp/spyvenv/bin/py-spy","record","-p",str(m[3][0]),"-r","250","-d","12","-f","raw","-o",f"/tmp/spy_{what}.txt"],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL)
        b=busy(m[3]); l=hammer(address_of(m[0]),m[2],clients=4,seconds=12,status=m[1]); print(what,(busy(m[3])-b)/len(l.latencies)*1e6,"us", l.rate)
        sp.wait()
if __name__=="__main__": main()
