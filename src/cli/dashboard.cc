#include "cli/dashboard.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/common.h"
#include "serve/http/server.h"
#include "serve/runs/run_library.h"
#include "serve/runs/run_routes.h"
#include "serve/web/pages.h"

namespace fathom {
namespace {

struct DashboardOptions {
  std::vector<std::filesystem::path> folders;
  WebServerOptions server;
};

void ServeDashboard(const DashboardOptions& options) {
  using namespace std::chrono_literals;
  WebRouter router;
  AddPages("runs", router);
  AddRunRoutes(std::make_shared<RunLibrary>(options.folders, /*rescan=*/2s), router);
  WebServer server(options.server, std::move(router));
  WriteStandardOutput(fmt::format("The runs are at {}/ (Ctrl-C ends it)\n", server.Address()));
  server.Run();
}

}  // namespace

void AddDashboardCommand(Command app) {
  const auto options = std::make_shared<DashboardOptions>();
  options->server.port = 8100;
  options->server.body_bytes = 4 << 10;
  options->server.stop_at_signals = true;
  Command command =
      app.AddCommand("dashboard", "Runs in a browser, while they train, until Ctrl-C.");
  command.Footer("Example: fathom dashboard runs");
  command.AddOption("DIR", options->folders, "Run directories, or folders of them").Required();
  command.AddOption("--host", options->server.host, "The address to listen on").ShowDefault();
  command.AddOption("--port", options->server.port, "The port to listen on; 0: one that is free")
      .ShowDefault();
  command.OnRun([options] { ServeDashboard(*options); });
}

}  // namespace fathom
