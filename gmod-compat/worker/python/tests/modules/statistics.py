def mean(values):
    print "mean of", values
    return sum(values) / len(values)
