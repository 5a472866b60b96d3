//! Reads memory, load and temperature of NVIDIA GPUs through NVML, the library of the driver.
//!
//! Without a driver there is no series and no log line. Calls of a driver can hang, so a thread of their own makes them, as
//! for disks.

use std::{
    ffi::OsStr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use nvml_wrapper::{Device, Nvml, enum_wrappers::device::TemperatureSensor};

use crate::{
    metrics::{Registry, catalog},
    runtime::{lock, own_thread},
};

/// The names of the library: of the driver's packages, and of their development files.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];
/// Max GPUs with series.
const MAX_DEVICES: u32 = 64;

/// A reading of a GPU. A number that the GPU does not support is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Gpu {
    index: u32,
    memory_bytes: Option<(u64, u64)>,
    load_percent: Option<u32>,
    temperature_celsius: Option<u32>,
}

/// The result of the last reading, and whether a reading is in progress.
pub(super) struct GpuReader {
    libraries: Arc<[String]>,
    /// The library, once it has been looked for.
    nvml: Arc<OnceLock<Option<Nvml>>>,
    last: Arc<Mutex<Vec<Gpu>>>,
    is_reading: Arc<AtomicBool>,
}

impl Default for GpuReader {
    fn default() -> Self {
        Self::of(&LIBRARIES.map(str::to_owned))
    }
}

impl GpuReader {
    fn of(libraries: &[String]) -> Self {
        Self {
            libraries: libraries.into(),
            nvml: Arc::default(),
            last: Arc::default(),
            is_reading: Arc::default(),
        }
    }

    /// Reports the last reading, and starts the next unless the previous reading still hangs.
    pub(super) fn sample(&self, registry: &Registry) {
        for gpu in lock(&self.last).iter() {
            write(gpu, registry);
        }
        let has_no_driver = self.nvml.get().is_some_and(Option::is_none);
        if has_no_driver || self.is_reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (libraries, nvml) = (Arc::clone(&self.libraries), Arc::clone(&self.nvml));
        let (last, is_reading) = (Arc::clone(&self.last), Arc::clone(&self.is_reading));
        let thread = std::thread::Builder::new()
            .name("obs-gpu".to_owned())
            .spawn(move || {
                own_thread::mark();
                let nvml = nvml.get_or_init(|| libraries.iter().find_map(|name| open(name)));
                *lock(&last) = nvml.as_ref().map_or_else(Vec::new, read);
                is_reading.store(false, Ordering::Release);
            });
        if thread.is_err() {
            self.is_reading.store(false, Ordering::Release);
        }
    }
}

fn open(library: &str) -> Option<Nvml> {
    Nvml::builder().lib_path(OsStr::new(library)).init().ok()
}

fn read(nvml: &Nvml) -> Vec<Gpu> {
    let count = nvml.device_count().unwrap_or(0).min(MAX_DEVICES);
    let devices = (0..count).filter_map(|index| Some((index, nvml.device_by_index(index).ok()?)));
    devices
        .map(|(index, device)| read_device(index, &device))
        .collect()
}

fn read_device(index: u32, device: &Device<'_>) -> Gpu {
    let memory = device.memory_info().ok();
    Gpu {
        index,
        memory_bytes: memory.map(|memory| (memory.used, memory.total)),
        load_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
    }
}

fn write(gpu: &Gpu, registry: &Registry) {
    let index = gpu.index.to_string();
    let labels = [("device", index.as_str())];
    let (used, total) = gpu.memory_bytes.unzip();
    for (metric, value) in [
        (&catalog::GPU_MEMORY, used.map(|bytes| bytes as f64)),
        (&catalog::GPU_MEMORY_TOTAL, total.map(|bytes| bytes as f64)),
        (
            &catalog::GPU_LOAD,
            gpu.load_percent.map(|percent| f64::from(percent) / 100.0),
        ),
        (
            &catalog::GPU_TEMPERATURE,
            gpu.temperature_celsius.map(f64::from),
        ),
    ] {
        if let Some(value) = value {
            registry.set(metric, &labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command, time::Duration};

    use super::*;
    use crate::metrics::RegistryOptions;

    /// NVML with two GPUs; the second supports no temperature.
    const STUB: &str = r#"
        #[repr(C)] pub struct Memory { version: u32, total: u64, reserved: u64, free: u64, used: u64 }
        #[repr(C)] pub struct Rates { gpu: u32, memory: u32 }
        const NOT_SUPPORTED: i32 = 3;
        #[no_mangle] pub extern "C" fn nvmlInit_v2() -> i32 { 0 }
        #[no_mangle] pub extern "C" fn nvmlShutdown() -> i32 { 0 }
        #[no_mangle] pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut u32) -> i32 { *count = 2; 0 }
        #[no_mangle] pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: u32, device: *mut usize) -> i32 { *device = 1 + index as usize; 0 }
        #[no_mangle] pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: usize, memory: *mut Memory) -> i32 {
            (*memory).total = 80 << 30; (*memory).used = (device as u64) << 30; 0
        }
        #[no_mangle] pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(_: usize, rates: *mut Rates) -> i32 { (*rates).gpu = 75; (*rates).memory = 10; 0 }
        #[no_mangle] pub unsafe extern "C" fn nvmlDeviceGetTemperature(device: usize, _: i32, celsius: *mut u32) -> i32 {
            if device == 2 { return NOT_SUPPORTED; }
            *celsius = 61; 0
        }
    "#;

    fn compile_stub(directory: &Path) -> String {
        let (source, library) = (directory.join("stub.rs"), directory.join("libstub.so"));
        std::fs::write(&source, STUB).unwrap();
        let compiled = Command::new("rustc")
            .args([
                "--edition=2021",
                "--crate-type=cdylib",
                "-Cpanic=abort",
                "-o",
            ])
            .args([&library, &source])
            .status()
            .unwrap();
        assert!(compiled.success());
        library.to_str().unwrap().to_owned()
    }

    /// Samples until the thread has read the GPUs.
    fn sampled(reader: &GpuReader) -> Registry {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        reader.sample(&registry);
        while reader.is_reading.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        reader.sample(&registry);
        registry
    }

    fn check(reader: &GpuReader) -> Vec<Gpu> {
        let registry = sampled(reader);
        let gpus = lock(&reader.last).clone();
        let text = registry.render(crate::metrics::Format::Prometheus);
        for gpu in &gpus {
            let (used, _) = gpu.memory_bytes.unwrap();
            let line = format!(
                "llm_router_gpu_memory_usage_bytes{{device=\"{}\"}} {used}",
                gpu.index
            );
            assert!(text.contains(&line), "{text}");
        }
        gpus
    }

    #[test]
    fn the_gpus_of_nvml_are_sampled() {
        let directory = std::env::temp_dir().join(format!("obs-nvml-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let library = compile_stub(&directory);
        let gpus = check(&GpuReader::of(&["libabsent.so".to_owned(), library]));
        let gpu = |index: u32, temperature_celsius| Gpu {
            index,
            memory_bytes: Some((u64::from(index + 1) << 30, 80 << 30)),
            load_percent: Some(75),
            temperature_celsius,
        };
        assert_eq!(gpus, [gpu(0, Some(61)), gpu(1, None)]);
        std::fs::remove_dir_all(&directory).unwrap();
        // The same test against the driver of this machine, if it has one.
        if open(LIBRARIES[0]).is_some() {
            assert!(!check(&GpuReader::default()).is_empty());
        }
    }

    #[test]
    fn without_a_driver_no_series_exists_and_no_further_thread_starts() {
        let reader = GpuReader::of(&["libabsent.so".to_owned()]);
        let registry = sampled(&reader);
        assert!(!reader.is_reading.load(Ordering::Acquire));
        assert!(
            !registry
                .render(crate::metrics::Format::Prometheus)
                .contains("gpu_")
        );
    }
}
