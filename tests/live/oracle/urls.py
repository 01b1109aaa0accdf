from __future__ import annotations

from django.urls import path

from tests.live.oracle import api, views, writing

urlpatterns = [
    path("api/projects/", api.Projects.as_view()),
    path("api/projects/<int:pk>/", api.OneProject.as_view()),
    path("api/projects/<int:project>/tasks/", api.TasksOfProject.as_view()),
    path("api/tasks/", api.Tasks.as_view()),
    path("api/tasks/<uuid:pk>/", api.OneTask.as_view()),
    path("api/bugs/", api.Bugs.as_view()),
    path("api/counts/", api.Counts.as_view()),
    path("api/report/", api.Report.as_view()),
    path("api/concerning/", api.Concerning.as_view()),
    path("async/projects/", views.aprojects),
    path("notices/", views.notices),
    path("notices/last/", views.last_notice),
    path("board/", views.board),
    path("greeting/", views.greeting),
    path("open/<int:project>/", views.any_open),
    path("pinned/<int:project>/", views.pinned),
    path("me/", views.me),
    path("figures/", views.raw_figures),
    path("enter/<name>/", views.enter),
    path("leave/", views.leave),
    path("write/", writing.write),
    path("awrite/", writing.awrite),
]
