"""Writes a bootable ISO 9660 image with Rock Ridge and Joliet names.

    iso.py ISO FILE...          with the environment's own Python
    iso.py --stick ISO FILE...  the same that boots from a stick as well, with a master boot record before it

What it boots does nothing: it only looks like ISOLINUX to those who make the boot record.
"""

import io
import os
import sys

import pycdlib

LOADER = bytearray(2048)
LOADER[0x40:0x44] = b"\xfb\xc0\x78\x70"

stick = sys.argv[1] == "--stick"
target, *files = sys.argv[2 if stick else 1:]

iso = pycdlib.PyCdlib()
iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="HEADRACE")
iso.add_fp(io.BytesIO(LOADER), len(LOADER), "/LOADER.BIN;1", rr_name="loader.bin", joliet_path="/loader.bin")
iso.add_eltorito("/LOADER.BIN;1", "/BOOT.CAT;1", rr_bootcatname="boot.cat", joliet_bootcatfile="/boot.cat",
                 boot_info_table=True, boot_load_size=4)
for number, file in enumerate(files):
    name = os.path.basename(file)
    iso.add_file(file, "/FILE%d.BIN;1" % number, rr_name=name, joliet_path="/" + name)
if stick:
    iso.add_isohybrid()
iso.write(target)
iso.close()
