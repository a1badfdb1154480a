def helped(name):
    return "helped " + name
