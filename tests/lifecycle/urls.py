"""The URLs of the lifecycle's tests."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from tests.lifecycle import views

urlpatterns = [
    path("hello/", views.hello, name="hello"),
    path("ahello/", views.ahello),
    path("state/", views.see_state),
    path("astate/", views.asee_state),
    path("request/", views.see_request),
    path("arequest/", views.asee_request),
    path("request/<path:rest>", lambda request, rest: views.see_request(request)),
    path("upload/", views.see_upload),
    path("read-twice/", views.read_twice),
    path("data/", views.Data.as_view()),
    path("users/", views.users),
    path("ausers/", views.ausers),
    path("make-user/", views.make_user),
    path("stream/", views.stream),
    path("astream/", views.astream),
    path("sync-astream/", views.sync_view_async_stream),
    path("async-stream/", views.async_view_sync_stream),
    path("endless/", views.endless),
    path("aendless/", views.aendless),
    path("broken-stream/", views.broken_stream),
    path("file/", views.file),
    path("afile/", views.afile),
    path("wait/", views.wait),
    path("await/", views.await_),
    path("meet/", views.meet),
    path("fail/", views.fail),
    path("afail/", views.afail),
    path("set-cookies/", views.set_cookies),
    path("see-cookies/", views.see_cookies),
    path("elsewhere/see-cookies/", views.see_cookies),
    path("log-in/", views.log_in),
    path("log-out/", views.log_out),
    path("who/", views.who),
    path("awho/", views.awho),
    path("count/", views.count),
    path("protected/", views.protected),
    path("exempt/", views.exempt),
    path("respond/", views.respond),
    path("not-modified/", views.not_modified),
    path("template/", views.template),
    path("background/", views.background),
    path("threads/", views.threads),
    path("number/<int:number>/", views.number),
    path("text/<str:text>/", views.text),
    re_path(r"^(?P<text>/.*)$", views.text),
    *i18n_patterns(path("translated/", views.hello, name="translated")),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(f"nothing at {request.path}", status=404)


handler404 = not_found
