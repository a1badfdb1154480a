# four-letter words, "stats" and INFO, over plain sockets
import socket, re, time, telnetlib, struct, select, errno

class ZooKeeper(object):
    def __init__(self, host='localhost', port='2181', timeout=1):
        self._address = (host, int(port))
        self._timeout = timeout

    def _send(self, cmd):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(self._timeout)
        s.connect(self._address)
        s.send(cmd)
        data = ""
        newdata = s.recv(2048)
        while newdata:
            data += newdata
            newdata = s.recv(2048)
        s.close()
        return data

    def stats(self):
        result = {}
        for line in self._send('mntr').split('\n'):
            try:
                key, value = map(str.strip, line.split('\t'))
                if key.endswith('_float'): result[key] = float(value)
                else: result[key] = int(value)
            except ValueError:
                pass
        return result

def memcached(host, port):
    sock = socket.socket()
    sock.connect((host, int(port)))
    sock.sendall("stats\r\n")
    buf = sock.makefile('r')
    out = {}
    while 1:
        line = buf.readline().strip()
        if not line or line == 'END': break
        _, k, v = line.split(' ', 2)
        out['mc_' + k] = v.isdigit() and int(v) or v
    sock.close()
    return out

def memcached_loop(host, port):
    s = socket.create_connection((host, int(port)), 2)
    s.send('stats\r\n')
    stats = ''
    while True:
        r, w, e = select.select([s], [], [], 2)
        if not r: break
        chunk = s.recv(7)
        stats += chunk
        if stats.endswith('END\r\n'): break
    return len(stats.splitlines()), re.findall(r'STAT (\w+) (\S+)\r', stats)

def redis_info(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect((host, int(port)))
    s.send("*1\r\n$4\r\nINFO\r\n")
    info = s.recv(4096)
    if info[0] != "$": return {}
    size = int(info[1:info.find("\n")])
    out = {'r_size': size}
    for line in info.splitlines()[1:]:
        if line == "" or line[0] == "#": continue
        n, v = line.split(":")
        if n.startswith('db'):
            v = int(v.split(',')[0].split('=')[1])
        out['r_' + n] = v
    return out

def telnet(host, port):
    tn = telnetlib.Telnet(host, port)
    tn.read_until("login: ")
    tn.write("bob\n")
    tn.read_until("Password: ", 2)
    tn.write("secret\r\n")
    i, m, text = tn.expect(["nope", re.compile("(\w+)> ")], 3)
    tn.write("uptime\n")
    up = tn.read_until("\n")
    tn.write("exit\n")
    rest = tn.read_all()
    tn.close()
    return {'t_which': i, 't_prompt': m.group(1), 't_uptime': int(up) / 60, 't_rest': rest}

def binary(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    body = 'caf\xc3\xa9\x00\xff'
    s.sendto(struct.pack('>HIB%ds' % len(body), 0xBEEF, 1 << 31, len(body), body), (host, int(port)))
    data, addr = s.recvfrom(1024)
    magic, n, size = struct.unpack('>HIB', data[:7])
    return {'u_magic': hex(magic), 'u_n': n, 'u_size': size, 'u_body': repr(data[7:7+size]), 'u_rest': ord(data[-1]), 'u_len': len(data)}

STATS = {}

def metric_init(params):
    h = params.get('host', '127.0.0.1')
    STATS.update(ZooKeeper(h, params['zk']).stats())
    STATS.update(memcached(h, params['mc']))
    n, pairs = memcached_loop(h, params['mc'])
    STATS['loop'] = n
    STATS['loop_pairs'] = len(pairs)
    STATS.update(redis_info(h, params['redis']))
    STATS.update(telnet(h, params['telnet']))
    STATS.update(binary(h, params['udp']))
    try:
        ZooKeeper(h, params['dead']).stats()
    except socket.error, err:
        STATS['dead'] = err[0] == errno.ECONNREFUSED and err.message == '' and err.strerror
    out = []
    for k in sorted(STATS):
        vt = type(STATS[k]) is str and 'string' or isinstance(STATS[k], float) and 'double' or 'int'
        out.append({'name': k, 'call_back': lambda x: STATS[x], 'value_type': vt, 'format': vt == 'string' and '%s' or '%d'})
    return out
