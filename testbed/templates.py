"""Makes the databases that every later service starts from: to create them takes seconds, to copy them none.

    templates.py DIRECTORY        with the environment's own Python

DIRECTORY/glance.sqlite is an empty image database. DIRECTORY/keystone holds a database with projects, users, roles
and the catalog (its addresses are filled in at each start), the keys to it, and bed.json with the ids.
"""

import base64
import json
import os
import sqlite3
import subprocess
import sys

KEYSTONE = "http://keystone.invalid"
GLANCE = "http://glance.invalid"
ENDPOINT = "bed0000000000000000000000000glance"
BIN = os.path.dirname(sys.executable)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit("%s ended with %d:\n%s" % (" ".join(command[:1]), done.returncode, done.stdout[-4000:]))


def wal(path):
    # with the rollback journal a reader blocks the writer, and requests end in 500, "database is locked"
    db = sqlite3.connect(path)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma wal_checkpoint(truncate)")
    db.close()


def glance(directory):
    conf = os.path.join(directory, "glance.conf")
    path = os.path.join(directory, "glance.sqlite")
    with open(conf, "w") as f:
        f.write("[database]\nconnection = sqlite:///%s\n" % path)
    run(os.path.join(BIN, "glance-manage"), "--config-file", conf, "db_sync")
    wal(path)


def keystone(directory):
    os.makedirs(directory, mode=0o700)
    for name in ("fernet-keys", "credential-keys"):
        os.makedirs(os.path.join(directory, name), mode=0o700)
        for index in ("0", "1"):
            with open(os.path.join(directory, name, index), "wb") as f:
                f.write(base64.urlsafe_b64encode(os.urandom(32)))
    path = os.path.join(directory, "keystone.sqlite")
    conf = os.path.join(directory, "keystone.conf")
    with open(conf, "w") as f:
        f.write(
            "[DEFAULT]\nlog_file = %(d)s/keystone.log\nuse_stderr = false\n"
            "[database]\nconnection = sqlite:///%(d)s/keystone.sqlite\nsqlite_synchronous = false\n"
            "[token]\nprovider = fernet\n"
            "[fernet_tokens]\nkey_repository = %(d)s/fernet-keys\n"
            "[fernet_receipts]\nkey_repository = %(d)s/fernet-keys\n"
            "[credential]\nkey_repository = %(d)s/credential-keys\n"
            "[cache]\nenabled = true\nbackend = dogpile.cache.memory\n"
            "[unified_limit]\nenforcement_model = flat\n"
            "[identity]\npassword_hash_rounds = 4\n" % {"d": directory}
        )
    run(os.path.join(BIN, "keystone-manage"), "--config-file", conf, "db_sync")
    wal(path)
    arguments = ["password=admin-secret", "username=admin", "project-name=admin", "service-name=keystone",
                 "region-id=RegionOne"] + ["%s-url=%s/v3" % (i, KEYSTONE) for i in ("admin", "public", "internal")]
    run(os.path.join(BIN, "keystone-manage"), "--config-file", conf, "bootstrap", *["--bootstrap-" + a for a in arguments])
    bed = fill(directory)
    # Glance's configuration names the endpoint by id, and Keystone's API lets nobody choose it
    db = sqlite3.connect(path)
    db.execute("update endpoint set id = ? where id = ?", (ENDPOINT, bed.pop("endpoint")))
    db.commit()
    db.close()
    wal(path)
    with open(os.path.join(directory, "bed.json"), "w") as f:
        json.dump(dict(bed, endpoint=ENDPOINT), f, indent=1)


def fill(directory):
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = directory
    from keystone.wsgi.api import application
    from webob import Request

    def call(method, path, body=None, token=None):
        request = Request.blank("/v3" + path, base_url=KEYSTONE, method=method)
        if body is not None:
            request.content_type, request.body = "application/json", json.dumps(body).encode()
        if token is not None:
            request.headers["X-Auth-Token"] = token
        response = request.get_response(application)
        if response.status_int >= 300:
            sys.exit("keystone: %s %s: %s %s" % (method, path, response.status, response.text))
        return response

    def login(user):
        return call("POST", "/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": {"id": "default"}, "password": user + "-secret"}}},
            "scope": {"project": {"name": user, "domain": {"id": "default"}}}}}).headers["X-Subject-Token"]

    admin = login("admin")

    def post(path, kind, **body):
        return call("POST", path, {kind: body}, admin).json[kind]

    roles = {role["name"]: role["id"] for role in call("GET", "/roles", None, admin).json["roles"]}

    def grant(where, user, role):
        call("PUT", "%s/users/%s/roles/%s" % (where, user, roles[role]), None, admin)

    bed = {}
    for name in ("demo", "other", "service"):
        bed[name + "_project"] = post("/projects", "project", name=name, domain_id="default")["id"]
    for name, project, role in (("demo", "demo", "member"), ("other", "other", "member"), ("reader", "demo", "reader"),
                                ("glance", "service", "admin")):
        user = post("/users", "user", name=name, domain_id="default", password=name + "-secret")["id"]
        bed[name + "_user"] = user
        grant("/projects/" + bed[project + "_project"], user, role)
    grant("/projects/" + bed["service_project"], bed["glance_user"], "service")
    # oslo.limit reads the limits with it
    grant("/system", bed["glance_user"], "reader")
    bed["service"] = post("/services", "service", type="image", name="glance")["id"]
    for interface in ("public", "internal", "admin"):
        endpoint = post("/endpoints", "endpoint", service_id=bed["service"], interface=interface, url=GLANCE,
                        region_id="RegionOne")
        if interface == "public":
            bed["endpoint"] = endpoint["id"]
    credential = call("POST", "/users/%s/application_credentials" % bed["demo_user"], {
        "application_credential": {"name": "bed", "secret": "app-secret"}}, login("demo")).json
    bed["app_credential"] = credential["application_credential"]["id"]
    bed["app_secret"] = "app-secret"
    return bed


# Keystone reads the command line when it is loaded
directory = os.path.realpath(sys.argv.pop())
glance(directory)
keystone(os.path.join(directory, "keystone"))
