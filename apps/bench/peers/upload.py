"""Uploads files with openstacksdk: upload.py URL COUNT FILE [validate]"""

import sys

import openstack

url, count, path = sys.argv[1:4]
cloud = openstack.connection.Connection(
    auth_type="none",
    auth={"endpoint": url},
    image_endpoint_override=url,
    image_api_version="2",
)
for number in range(int(count)):
    cloud.image.create_image(
        name="sdk-%d" % number,
        filename=path,
        disk_format="raw",
        container_format="bare",
        validate_checksum="validate" in sys.argv[4:],
        allow_duplicates=True,
        wait=True,
        use_import=False,
    )
