#pragma once

#include <memory>

#include "serve/http/router.h"
#include "serve/runs/run_library.h"

namespace fathom {

// GET /api/runs: the list. GET /api/news?run=ID[&epoch=E&steps=N&validations=N&samples=N&loads=N]:
// what has come of a run since (RunRecord::Seen). GET /api/samples?run=ID&step=N: texts.
// GET /api/config?run=ID: config.toml as text. Runs are known by ids of the list, never by paths.
void AddRunRoutes(const std::shared_ptr<RunLibrary>& library, WebRouter& router);

}  // namespace fathom
