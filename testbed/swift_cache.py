"""Stands where memcached stands in a Swift: tempauth keeps its tokens there, the proxy what containers are like."""

import time


class Cache:
    def __init__(self):
        self.kept = {}

    def get(self, key, **_):
        value, end = self.kept.get(key, (None, None))
        return None if end is not None and end < time.time() else value

    def set(self, key, value, time=0, **_):
        self.kept[key] = value, self.end(time)

    def delete(self, key, **_):
        self.kept.pop(key, None)

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta, time)

    def get_multi(self, keys, server_key=None):
        return [self.get(key) for key in keys]

    def set_multi(self, mapping, server_key=None, time=0, **_):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    @staticmethod
    def end(seconds):
        return time.time() + seconds if seconds else None


def factory(global_conf, **local_conf):
    cache = Cache()

    def make(app):
        def call(env, start_response):
            env["swift.cache"] = cache
            return app(env, start_response)
        return call
    return make
