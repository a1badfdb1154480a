import Queue
def depth():
    q = Queue.Queue(3)
    q.put('a')
    return q.qsize()
