def helped(name):
    print name
    return 010
