#include "cli/plan_page.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/common.h"
#include "plan/html_report.h"
#include "plan/run.h"
#include "serve/http/server.h"
#include "serve/web/pages.h"

namespace fathom {
namespace {

// What an error's text begins with, where that names an option: "devices: 3 is ...".
std::string FieldOf(std::string_view message) {
  const std::string_view name = message.substr(0, message.find(": "));
  if (name == "command") return "command";
  for (const PlanCommand& command : PlanCommands()) {
    if (command.Find(name) != nullptr) return std::string(name);
  }
  return "";
}

// POST /plan[?format=json|csv|html]: a scenario in JSON, its report. What the scenario gets wrong
// is a 400 whose error has the field's name.
WebResponse AnswerPlan(const WebRequest& request) {
  // A form of another site cannot send this type without being asked whether it may.
  if (!request.Header("Content-Type").starts_with("application/json")) {
    return WebError(415, "the body has to be application/json");
  }
  const bool html = request.query == "format=html", csv = request.query == "format=csv";
  if (!html && !csv && !request.query.empty() && request.query != "format=json") {
    return WebError(400, "can be json, csv or html", "format");
  }
  try {
    const PlanOptions options = PlanOptions::FromJson(request.body);
    const Report report = RunPlan(options);
    if (html) {
      return {.type = "text/html; charset=utf-8", .body = ReportHtml(report, CommandLine(options))};
    }
    if (csv) return {.type = "text/csv; charset=utf-8", .body = report.ToCsv()};
    return {.type = "application/json", .body = report.ToJson()};
  } catch (const Error& error) {
    const std::string_view message = error.what();
    const std::string field = FieldOf(message);
    return WebError(400, field.empty() ? message : message.substr(field.size() + 2), field);
  }
}

WebRouter PlanRoutes() {
  WebRouter router;
  AddPages("plan", router);
  router.Add("GET", "/report.css",
             [](const WebRequest&) { return PageFile("report.css", std::string(ReportStyle())); });
  router.Add("GET", "/options", [](const WebRequest&) {
    return WebResponse{.type = "application/json", .body = PlanCommandsJson()};
  });
  router.Add("POST", "/plan", AnswerPlan);
  return router;
}

}  // namespace

void AddPlanPageCommand(Command plan) {
  const auto options = std::make_shared<WebServerOptions>();
  options->port = 8090;
  options->body_bytes = 64 << 10;
  options->stop_at_signals = true;
  Command command = plan.AddCommand("page", "The planner in a browser, until Ctrl-C.");
  command.Footer("Example: fathom plan page --port 8090");
  command.AddOption("--host", options->host, "The address to listen on").ShowDefault();
  command.AddOption("--port", options->port, "The port to listen on; 0: one that is free")
      .ShowDefault();
  command.OnRun([options] {
    WebServer server(*options, PlanRoutes());
    WriteStandardOutput(fmt::format("The planner is at {}/ (Ctrl-C ends it)\n", server.Address()));
    server.Run();
  });
}

}  // namespace fathom
