import sys
counter = 0
class Plain(Exception):
    pass
def tick(name):
    global counter
    counter += 1
    if counter == 2:
        raise Plain(), None
    return counter / 2.0
def metric_init(params):
    "one metric, as a dictionary"
    print sorted(params)[:1],
    sys.stdout.write('x\n')
    return {'name': 'single', 'call_back': tick, 'value_type': 'double', 'spoof_host': '1.2.3.4:other', 'TITLE': 'T\xc3\xa4st'}
