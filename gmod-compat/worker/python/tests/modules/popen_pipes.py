import os, sys, commands, popen2, subprocess, re, shlex
from subprocess import Popen, PIPE, STDOUT

def run(cmd):
    p = subprocess.Popen(cmd, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate()
    if p.returncode:
        raise Exception, 'failed: %s' % err.strip()
    return out

def df():
    text = "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 1000 250 750 25% /\n/dev/sdb1 3000 1000 2000 34% /data\n"
    p1 = Popen(['echo', text], stdout=PIPE)
    p2 = Popen(['grep', '^/dev'], stdin=p1.stdout, stdout=PIPE)
    p1.stdout.close()
    out = {}
    for line in p2.communicate()[0].strip().split('\n'):
        f = line.split()
        out['df_' + f[5].replace('/', '_')] = int(f[2]) * 100 / int(f[1])
    return out

def iostat():
    out = {}
    for line in os.popen('printf "sda 1.5 2\\nsdb 3.25 4\\n"').readlines():
        dev, r, w = line[:-1].split()
        out['io_' + dev] = float(r) / int(w)
    return out

def errors():
    out = {}
    try:
        run('echo oops >&2; exit 3')
    except Exception, e:
        out['err'] = e.message
    out['st'], out['st_out'] = commands.getstatusoutput('echo x; exit 2')
    try:
        Popen(['/nonexistent/tool'], stdout=PIPE)
    except OSError, (n, text):
        out['oserr'] = '%d %s' % (n, text)
    try:
        subprocess.check_call(shlex.split("sh -c 'exit 9'"))
    except subprocess.CalledProcessError, e:
        out['rc'] = e.returncode
    return out

def conversation():
    p = Popen('while read a; do echo "got $a"; done', shell=True, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    got = []
    for w in ['one', 'tw\xf6']:
        p.stdin.write(w + '\n')
        p.stdin.flush()
        got.append(p.stdout.readline().strip())
    p.stdin.close()
    p.wait()
    return {'conv': '|'.join(got), 'conv_len': len(got[1])}

def others():
    r, w = popen2.popen2('tr a-z A-Z')
    w.write('shout'); w.close()
    out = {'upper': r.read()}
    child = popen2.Popen3('cat; exit 1')
    child.tochild.write('zz'); child.tochild.close()
    out['popen3'] = child.fromchild.read() + str(os.WEXITSTATUS(child.wait()))
    out['lines'] = len([l for l in Popen('seq 1 20', shell=True, stdout=PIPE).stdout if int(l) % 2])
    out['status'] = os.popen('exit 3').close()
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    out['fork'] = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
    rd, wr = os.pipe()
    os.write(wr, 'raw\x80'); os.close(wr)
    out['pipe'] = repr(os.read(rd, 100)); os.close(rd)
    out['env'] = Popen(['sh', '-c', 'echo $FOO'], env=dict(os.environ, FOO='bar'), stdout=PIPE).stdout.read()[:-1]
    out['match'] = re.search(r'(\d+) packets', run("echo '12 packets'")).group(1)
    return out

ALL = {}
def metric_init(params):
    for f in df, iostat, errors, conversation, others:
        ALL.update(f())
    return [{'name': k, 'call_back': ALL.get, 'value_type': 'string'} for k in sorted(ALL.keys())]
def metric_cleanup(): ALL.clear()
