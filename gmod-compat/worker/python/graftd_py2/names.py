"""The attributes that have rules: code that asks an object for one of these goes through `attrs.py`.

Kept apart from the rules, for conversion needs the names only. A test holds the two together.
"""

WATCHED = frozenset(
    """
    keys values items iterkeys itervalues iteritems viewkeys viewvalues viewitems has_key next message sort
    func_name func_code func_globals func_defaults func_doc func_dict func_closure im_func im_self im_class gi_frame
    isAlive getName isDaemon setName setDaemon notifyAll isSet _Thread__stop _Thread__target _Thread__args _Thread__kwargs
    strip lstrip rstrip split rsplit upper lower title capitalize swapcase isalpha isalnum isdigit isspace isupper
    islower istitle splitlines join format translate __getslice__ __setslice__ __delslice__ encode decode
    recv recvfrom send sendall sendto getsockopt setsockopt read write getpeercert read1 readline peek getvalue compress decompress unused_data unconsumed_tail value raw sendmail content data body
    flush update digest hexdigest find rfind read_byte write_byte pack unpack unpack_from pack_into Parse retrbinary storbinary send_bytes recv_bytes
    readlines xreadlines writelines makefile tostring fromstring extend getheader getheaders getrawheader dict headers gettype
    getmaintype getsubtype getparam getencoding request endheaders get_data add_data has_data get_host get_type
    get_selector get_origin_req_host is_unverifiable open getcode getchildren getiterator readfp
    """.split()
)
