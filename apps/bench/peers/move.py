"""Moves images from cloud to cloud with openstacksdk: move.py FROM TO COUNT streamed|file"""

import sys
import tempfile

import openstack


def connect(url):
    return openstack.connection.Connection(
        auth_type="none",
        auth={"endpoint": url},
        image_endpoint_override=url,
        image_api_version="2",
    )


class Body:
    """What requests takes for a file of known size: it reads from the answer as it is sent."""

    def __init__(self, answer, size):
        self.raw, self.len = answer.raw, size

    def read(self, n=-1):
        return self.raw.read(n)


source, target, count, how = sys.argv[1:5]
old, new = connect(source), connect(target)
for number in range(int(count)):
    image = old.image.get_image("7d1f6d3a-6f0e-4f4f-9d9d-%012d" % number)
    with tempfile.NamedTemporaryFile() as file:
        made = new.image.create_image(name="moved-%d" % number, disk_format="raw", container_format="bare", allow_duplicates=True)
        answer = old.image.download_image(image, stream=True)
        if how == "file":
            for piece in answer.iter_content(1 << 20):
                file.write(piece)
            file.flush()
            data = open(file.name, "rb")
        else:
            data = Body(answer, image.size)
        made.data = data
        made.upload(new.image)
        new.image.get_image(made.id)
