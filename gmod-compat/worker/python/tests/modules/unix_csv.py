# haproxy's kind: CSV over a UNIX socket, with threads and a queue between
import socket, csv, os, tempfile, threading, Queue, thread, time, string, StringIO, random, copy, types
from xmlrpclib import dumps, loads

class Server(threading.Thread):
    def __init__(self, path):
        threading.Thread.__init__(self, name='server')
        self._target = path
        self._started = False
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        self.sock.listen(5)
        self.setDaemon(1)
    def run(self):
        self._started = True
        while 1:
            conn, addr = self.sock.accept()
            cmd = conn.recv(1024)
            if cmd.strip() == 'show stat':
                conn.sendall('# pxname,svname,scur,status\nweb,FRONTEND,5,OPEN\nweb,srv\xe4,12,UP\n"a,b",BACKEND,,DOWN\n\n')
            elif cmd == 'quit':
                conn.close()
                return
            conn.close()

def ask(path, cmd):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.send(cmd + '\n' * (cmd != 'quit'))
    buf = StringIO.StringIO()
    while True:
        data = s.recv(16)
        if not data: break
        buf.write(data)
    s.close()
    buf.seek(0)
    return buf

def collect():
    out = {}
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, 'sock')
    server = Server(path)
    server.start()
    text = ask(path, 'show stat').read()
    rows = csv.DictReader(text.lstrip('# ').splitlines())
    total = 0
    for row in rows:
        key = '%(pxname)s.%(svname)s' % row
        out[key] = row['scur'] and int(row['scur']) / 2 or -1
        total += int(row['scur'] or 0)
        out[key + '.up'] = row['status'] in ('OPEN', 'UP')
    out['total'] = total
    out['fields'] = string.join(csv.reader(ask(path, 'show stat')).next(), '+')
    ask(path, 'quit')
    server.join(5)
    out['alive'] = server.isAlive() or server._started and server._target.endswith('sock')
    out['thread'] = server.getName()
    os.unlink(path); os.rmdir(folder)
    jobs, done, lock = Queue.Queue(), [], threading.RLock()
    def worker():
        while 1:
            try: item = jobs.get_nowait()
            except Queue.Empty: return
            lock.acquire()
            try: done.append(item / 2)
            finally: lock.release()
            jobs.task_done()
    for i in xrange(10): jobs.put(i)
    threads = [threading.Thread(target=worker) for i in range(3)]
    map(lambda t: t.start(), threads)
    jobs.join()
    [t.join() for t in threads]
    out['done'] = reduce(lambda a, b: a + b, done)
    out['left'] = len([t for t in threads if t.isAlive()])
    flag = []
    def once(a, *b, **c):
        flag.append((a, b, c))
        ev.set()
    ev = threading.Event()
    thread.start_new_thread(once, (1, 2), dict(k='v'))
    ev.wait(5)
    out['flag'] = str(flag)
    xml = dumps((1, 'a', [True, None and 1 or 2.5], {'k': 'v\xc3\xa9'.decode('utf8')}), 'method')
    (a, b, c, d), name = loads(xml)
    out['rpc'] = '%s %s %s %s' % (a, b, c, name)
    out['rpc_text'] = d['k'].encode('utf-8')
    skel = {'f': ask, 'n': [1, (2, {'x': None})]}
    out['copy'] = copy.deepcopy(skel) == skel and copy.copy(skel)['f'] is ask and type(ask) is types.FunctionType
    random.seed(3)
    out['random'] = random.choice('a') + str(random.randint(4, 4)) + str(len(random.sample(xrange(10), 3)))
    t = string.Template('$who has ${n}')
    out['template'] = t.safe_substitute(who='x', n=3) + string.capwords('a b') + string.zfill(7, 3)
    out['table'] = 'hello'.translate(string.maketrans('el', '31'))
    return out

def metric_init(params):
    d = collect()
    return [{'name': k, 'call_back': d.get, 'value_type': 'string', 'units': '\xb5s'} for k in sorted(d)]

def metric_cleanup():
    print 'done',
