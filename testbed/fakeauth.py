"""Stands where Keystone's filter stands in Glance's pipeline.

A token is USER:PROJECT:ROLE[,ROLE...]. It sets the headers that Keystone's own filter sets, so the real context filter
and the real policies decide. A token of another shape counts as none: the context filter answers 401.
"""

IMPLIED = {"admin": "admin,manager,member,reader", "manager": "manager,member,reader", "member": "member,reader"}
OURS = ("HTTP_X_IDENTITY", "HTTP_X_USER", "HTTP_X_PROJECT", "HTTP_X_TENANT", "HTTP_X_ROLE", "HTTP_X_SERVICE")


def factory(global_conf, **local_conf):
    def make(app):
        def call(env, start_response):
            for key in [key for key in env if key.startswith(OURS)]:
                del env[key]
            part = env.get("HTTP_X_AUTH_TOKEN", "").split(":")
            if len(part) == 3 and all(part):
                env.update(
                    HTTP_X_IDENTITY_STATUS="Confirmed",
                    HTTP_X_USER_ID=part[0],
                    HTTP_X_PROJECT_ID=part[1],
                    HTTP_X_ROLES=",".join(IMPLIED.get(role, role) for role in part[2].split(",")),
                    HTTP_X_SERVICE_CATALOG="[]",
                )
            return app(env, start_response)

        return call

    return make
