// The Rust SDK (nacos-sdk) behind JSON lines: see conftest.py.
use nacos_sdk::api::naming::{
    NamingChangeEvent, NamingEventListener, NamingService, NamingServiceBuilder, ServiceInstance,
};
use nacos_sdk::api::props::ClientProps;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};

fn say(what: Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}");
    let _ = out.flush();
}

fn hosts(list: &[ServiceInstance]) -> Value {
    let told = |i: &ServiceInstance| json!([i.ip, i.port, i.weight, i.healthy, i.metadata]);
    Value::Array(list.iter().map(told).collect())
}

struct Listener(String);

impl NamingEventListener for Listener {
    fn event(&self, event: Arc<NamingChangeEvent>) {
        let list = event.instances.clone().unwrap_or_default();
        say(json!({"push": self.0, "hosts": hosts(&list)}));
    }
}

fn text(r: &Value, key: &str, otherwise: &str) -> String {
    r[key].as_str().unwrap_or(otherwise).to_string()
}

fn clusters(r: &Value) -> Vec<String> {
    let names = r["clusters"].as_array().cloned().unwrap_or_default();
    names.iter().map(|c| c.as_str().unwrap_or_default().to_string()).collect()
}

fn instance(r: &Value, ip: String, port: i64) -> ServiceInstance {
    let mut metadata = HashMap::new();
    for (key, value) in r["metadata"].as_object().into_iter().flatten() {
        metadata.insert(key.clone(), value.as_str().unwrap_or_default().to_string());
    }
    ServiceInstance {
        ip,
        port: port as i32,
        weight: r["weight"].as_f64().unwrap_or(1.0),
        ephemeral: r["ephemeral"].as_bool().unwrap_or(true),
        cluster_name: Some(text(r, "cluster", "DEFAULT")),
        metadata,
        ..Default::default()
    }
}

type Failure = Box<dyn std::error::Error>;

async fn run(
    c: &NamingService,
    listeners: &mut HashMap<String, Arc<Listener>>,
    r: &Value,
) -> Result<Value, Failure> {
    let service = text(r, "service", "");
    let group = Some(text(r, "group", "DEFAULT_GROUP"));
    let one = instance(r, text(r, "ip", ""), r["port"].as_i64().unwrap_or(0));
    match r["do"].as_str().unwrap_or_default() {
        "register" => c.register_instance(service, group, one).await?,
        "batch" => {
            let pairs = r["hosts"].as_array().cloned().unwrap_or_default();
            let address = |h: &Value| instance(r, h[0].as_str().unwrap_or_default().into(), h[1].as_i64().unwrap_or(0));
            c.batch_register_instance(service, group, pairs.iter().map(address).collect()).await?
        }
        "deregister" => c.deregister_instance(service, group, one).await?,
        "list" => return Ok(hosts(&c.get_all_instances(service, group, clusters(r), false).await?)),
        "select" => {
            let list = c.select_instances(service, group, clusters(r), false, r["healthy"].as_bool().unwrap_or(true)).await?;
            return Ok(hosts(&list));
        }
        "one" => return Ok(hosts(&[c.select_one_healthy_instance(service, group, clusters(r), false).await?])),
        "services" => {
            let number = |key| r[key].as_i64().unwrap_or(0) as i32;
            let (names, count) = c.get_service_list(number("page"), number("size"), group).await?;
            return Ok(json!([count, names]));
        }
        "subscribe" => {
            let listener = listeners.entry(service.clone()).or_insert_with(|| Arc::new(Listener(service.clone()))).clone();
            c.subscribe(service, group, clusters(r), listener).await?
        }
        "unsubscribe" => {
            let listener = listeners.remove(&service).ok_or("it is not subscribed")?;
            c.unsubscribe(service, group, clusters(r), listener).await?
        }
        "close" => {}
        other => return Err(format!("unknown: {other}").into()),
    }
    Ok(Value::Null)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let props = ClientProps::new()
        .server_addr(words[1].clone())
        .namespace(words[2].clone())
        .app_name("driver")
        .naming_push_empty_protection(false)
        .cache_dir(words[3].clone());
    let client = NamingServiceBuilder::new(props).build().await?;
    let mut listeners = HashMap::new();
    say(json!({"ready": true}));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let r: Value = serde_json::from_str(&line)?;
        match run(&client, &mut listeners, &r).await {
            Ok(value) => say(json!({"id": r["id"], "ok": true, "value": value})),
            Err(e) => say(json!({"id": r["id"], "ok": false, "error": e.to_string()})),
        }
        if r["do"] == "close" {
            break;
        }
    }
    Ok(())
}
